"""Which engine answers for a model id: the catalogue and the operator's bindings, resolved."""

import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    NotBuiltError,
    NotFoundError,
)
from freehold.core.settings import ModelBinding, Settings, SettingsError
from freehold.data import document
from freehold.data.models import Catalogue, Listed, ModelRow, VocabularyName
from freehold.engines.base import (
    EmbeddingEngine,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
    TextEngine,
)
from freehold.engines.holder import Engine, Holder
from freehold.engines.weights import WeightsStore

Use = Literal["chat", "embedding"]

_NAMED_BACKENDS: Mapping[Use, Mapping[str, str]] = {
    "chat": {
        "llama": "freehold.engines.backends.llama:LlamaEngine",
        "upstream": "freehold.engines.backends.upstream:UpstreamEngine",
        "scripted": "freehold.engines.backends.scripted:ScriptedEngine",
    },
    "embedding": {"minilm": "freehold.engines.backends.minilm:MiniLMEngine"},
}
_LLAMA, _UPSTREAM = _NAMED_BACKENDS["chat"]["llama"], _NAMED_BACKENDS["chat"]["upstream"]
_API_TEMPERATURE = 1.0
_TEXT_KINDS = frozenset({"chat", "completion"})
# What an operator's own id can be asked for: all that our own model of its kind takes.
_USES: Mapping[str, Use] = {"chat": "chat", "completion": "chat", "embedding": "embedding"}


@dataclass(frozen=True)
class EngineSpec:
    """One engine configuration: equal specs share one loaded engine."""

    use: Use
    backend: str
    model: str
    weights: str | None = None
    sha256: str | None = None
    slots: int | None = None
    context: int | None = None
    threads: int | None = None
    template: str | Path | None = None
    system_prompt: str | None = None
    options: str = "{}"


@dataclass(frozen=True)
class Model:
    """A model id that a caller asked for, and what serves it.

    ``row`` is the catalogue's row (made up for an operator's own id). ``defaults`` is the row of
    the weights that really answer, None where they are not in the catalogue.
    """

    id: str
    row: ModelRow
    spec: EngineSpec | None
    holder: "Holder[Any] | None"
    binding: ModelBinding | None = None
    defaults: ModelRow | None = None

    @property
    def snapshot(self) -> str:
        """The id that answers carry."""
        return self.row.id

    @property
    def text(self) -> Holder[TextEngine]:
        """The text engine. Raises ``NotBuiltError`` where the model has none."""
        return cast("Holder[TextEngine]", self._of("chat", "text"))

    @property
    def embedding(self) -> Holder[EmbeddingEngine]:
        """The embedding engine. Raises ``NotBuiltError`` where the model has none."""
        return cast("Holder[EmbeddingEngine]", self._of("embedding", "embedding"))

    @property
    def vocabulary(self) -> VocabularyName | None:
        """The table that token ids in the API belong to; None: the engine's own."""
        return self.row.vocabulary

    @property
    def native_ids(self) -> bool:
        """Whether token ids in the API are the engine's own."""
        return self.row.vocabulary is None

    def temperature(self, n: int = 1) -> float | None:
        """Return the temperature for ``n`` answers where the caller gave none.

        None leaves it to an upstream.
        """
        if self.binding and self.binding.temperature is not None:
            return self.binding.temperature
        if self.spec and self.spec.backend == _UPSTREAM:
            return None
        if self.defaults is None:
            return _API_TEMPERATURE
        own = self.defaults.temperature if n == 1 else self.defaults.temperature_many
        return _API_TEMPERATURE if own is None else own

    def _of(self, use: Use, word: str) -> Holder[Any]:
        if self.holder is None or self.spec is None or self.spec.use != use:
            raise NotBuiltError(f"This server has no {word} engine for the model `{self.id}`.")
        return self.holder


class Registry:
    """Finds the model behind an id and holds one engine per configuration, loaded when needed."""

    def __init__(
        self, catalogue: Catalogue, settings: Settings, weights: WeightsStore, runtime_dir: Path
    ) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._weights = weights
        self._runtime_dir = runtime_dir
        self._holders: dict[EngineSpec, Holder[Any]] = {}
        self._found: dict[str, Model] = {}
        self._patterns = sorted(
            (name for name in settings.models if _is_pattern(name)), key=len, reverse=True
        )
        for pattern in self._patterns:
            self._check_kind(pattern)

    def find(self, model_id: str) -> Model:
        """Return the model of an id.

        Raises ``NotFoundError`` (``model_not_found``), and ``InternalServerError`` for an unbound
        id where the settings name a ``default_model`` that nothing serves.
        """
        if (known := self._found.get(model_id)) is not None:
            return known
        binding = self._binding(model_id)
        row = self._catalogue.find(model_id)
        if row is None and binding is None:
            raise _not_found(model_id)
        model = self._resolve(model_id, row or self._own_row(model_id), binding)
        self._found[model_id] = model
        return model

    def require(self, model: Model, operation_id: str) -> None:
        """Raise an error in OpenAI's words where the operation does not take the model."""
        if operation_id not in model.row.operations:
            raise _wrong_endpoint(model, operation_id)

    def models(self) -> tuple[Listed, ...]:
        """Return every id that can be asked for: the catalogue's, then the operator's own."""
        own = [self._own_row(name) for name in self._own_ids()]
        return (
            *self._catalogue.listed(),
            *(
                Listed(id=row.id, created=row.created, owned_by=row.owned_by, snapshot=row.id)
                for row in own
            ),
        )

    def is_own(self, model_id: str) -> bool:
        """Return whether the id exists only because the operator added it."""
        return model_id in self._own_ids()

    async def ensure_default_loaded(self) -> None:
        """Load the engine that unbound ids use. Raises ``EngineLoadError``."""
        try:
            holder = self.find(self._settings.default_model).text
        except APIError as error:
            raise EngineLoadError(f"default_model can't be served. {error.message}") from error
        await holder.ensure_loaded()

    def statuses(self) -> Mapping[str, EngineStatus]:
        """Return what each engine that was asked for says, by the name of its model."""
        found: dict[str, EngineStatus] = {}
        for spec, holder in self._holders.items():
            others = sum(name.split(" #")[0] == spec.model for name in found)
            found[f"{spec.model} #{others + 1}" if others else spec.model] = holder.status()
        return found

    async def close(self) -> None:
        """Stop every engine."""
        await asyncio.gather(*(holder.close() for holder in self._holders.values()))

    def _own_ids(self) -> list[str]:
        return [
            name
            for name in self._settings.models
            if not _is_pattern(name) and self._catalogue.find(name) is None
        ]

    def _binding(self, model_id: str) -> ModelBinding | None:
        """Exact id first, then the other names of its snapshot, then the longest pattern.

        Patterns choose among ids of the catalogue; they make no new ones.
        """
        bindings = self._settings.models
        row = self._catalogue.find(model_id)
        names = [model_id] if row is None else [model_id, row.id, *(a.id for a in row.aliases)]
        for name in names:
            if not _is_pattern(name) and name in bindings:
                return bindings[name]
        if row is None:
            return None
        use = _USES.get(row.kind, "chat")
        for pattern in self._patterns:
            matches = any(fnmatchcase(name, pattern) for name in (model_id, row.id))
            if matches and bindings[pattern].kind == use:
                return bindings[pattern]
        return None

    def _check_kind(self, pattern: str) -> None:
        """Raise ``SettingsError`` for a pattern that matches ids of other kinds only."""
        ids = (i for i in self._catalogue.ids() if fnmatchcase(i, pattern))
        rows = (self._catalogue.find(model_id) for model_id in ids)
        uses = {_USES[row.kind] for row in rows if row and row.kind in _USES}
        kind = self._settings.models[pattern].kind
        if uses and kind not in uses:
            raise SettingsError(
                f'The pattern models."{pattern}" matches no {kind} model: '
                f'add kind = "{uses.pop()}" to bind what it matches.'
            )

    def _own_row(self, model_id: str) -> ModelRow:
        """Make the row of an operator's own id: it takes what our own model of its kind takes."""
        binding = self._settings.models[model_id]
        ours = self._our_row(binding.kind)
        return ModelRow(
            id=model_id,
            kind=binding.kind,
            created=_created(binding, ours),
            owned_by=binding.owned_by or "freehold",
            context_window=binding.context_window,
            max_output_tokens=binding.max_output_tokens or binding.context_window,
            operations=ours.operations,
        )

    def _our_row(self, kind: Use) -> ModelRow:
        """Return our own model of a kind, else any model of it."""
        rows = [row for row in self._catalogue.rows() if row.kind == kind]
        return next((row for row in rows if row.backend), rows[0])

    def _resolve(self, model_id: str, row: ModelRow, binding: ModelBinding | None) -> Model:
        use = _USES.get(row.kind)
        if use is None:
            return Model(model_id, row, None, None, binding)
        if binding is not None:
            defaults = self._row_of_weights(binding.weights)
            spec = self._bound_spec(use, row, binding, defaults)
        elif row.backend is None and self._default_id(use) not in (row.id, model_id):
            return self._by_default(use, model_id, row)
        else:
            defaults = row
            spec = self._catalogue_spec(use, row)
        return Model(model_id, row, spec, self._holder(spec), binding, defaults)

    def _default_id(self, use: Use) -> str:
        return {
            "chat": self._settings.default_model,
            "embedding": self._settings.default_embedding_model,
        }[use]

    def _by_default(self, use: Use, model_id: str, row: ModelRow) -> Model:
        """Return an id that nobody has bound, served by the default model of its kind."""
        try:
            default = self.find(self._default_id(use))
        except NotFoundError:
            return Model(model_id, row, None, None)
        if default.spec is None or default.spec.use != use:
            raise _unservable(default.id)
        return Model(model_id, row, default.spec, default.holder, default.binding, default.defaults)

    def _row_of_weights(self, weights: str | None) -> ModelRow | None:
        return next((r for r in self._catalogue.rows() if weights and r.weights == weights), None)

    def _catalogue_spec(self, use: Use, row: ModelRow) -> EngineSpec:
        if row.backend is None:
            raise _unservable(row.id)
        return EngineSpec(
            use=use,
            backend=row.backend,
            model=row.id,
            weights=row.weights,
            slots=self._settings.slots,
            threads=self._settings.threads,
            template=row.template,
            system_prompt=row.system_prompt,
        )

    def _bound_spec(
        self, use: Use, row: ModelRow, binding: ModelBinding, defaults: ModelRow | None
    ) -> EngineSpec:
        backend = _NAMED_BACKENDS[use].get(binding.backend, binding.backend)
        name = binding.model or row.id
        if backend == _LLAMA:
            name = defaults.id if defaults else Path(binding.weights or row.id).name
        return EngineSpec(
            use=use,
            backend=backend,
            model=name,
            weights=binding.weights,
            sha256=binding.sha256,
            slots=binding.slots or self._settings.slots,
            context=binding.context,
            threads=binding.threads or self._settings.threads,
            template=binding.template or (defaults.template if defaults else None),
            system_prompt=binding.system_prompt or (defaults.system_prompt if defaults else None),
            options="{}" if backend == _LLAMA else _options(binding),
        )

    def _holder(self, spec: EngineSpec) -> Holder[Any]:
        if spec not in self._holders:
            load: Callable[[], Awaitable[Engine]] = partial(self._load, spec)
            self._holders[spec] = Holder(load, self._settings.queue_limit)
        return self._holders[spec]

    async def _load(self, spec: EngineSpec) -> Engine:
        config = EngineConfig(
            model=spec.model,
            runtime_dir=self._runtime_dir,
            weights=await self._weights_path(spec),
            slots=spec.slots,
            context=spec.context,
            threads=spec.threads,
            template=_template_text(spec.template),
            system_prompt=spec.system_prompt,
            options=json.loads(spec.options),
        )
        return await _backend(spec).load(config)

    async def _weights_path(self, spec: EngineSpec) -> Path | None:
        if spec.weights is None:
            return None
        return await asyncio.to_thread(self._weights.path, spec.weights, spec.sha256)


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _options(binding: ModelBinding) -> str:
    """Return what only some backends know, as canonical JSON (a spec must be hashable)."""
    names = {"base_url", "api_key_env", "timeout_s", "retries", "script"}
    given = binding.model_dump(mode="json", include=names, exclude_none=True)
    return json.dumps(given, sort_keys=True)


def _created(binding: ModelBinding, ours: ModelRow) -> int:
    """Return the date of the weights' file, else that of our own model's release."""
    file = Path(binding.weights).expanduser() if binding.weights else None
    return int(file.stat().st_mtime) if file and file.is_file() else ours.created


class _Backend(Protocol):
    """A class that can load a model."""

    @classmethod
    async def load(cls, config: EngineConfig) -> Engine: ...


def _backend(spec: EngineSpec) -> type[_Backend]:
    """Import a ``module:Class``; only here, so that unused engines cost nothing."""
    module, _, attribute = spec.backend.partition(":")
    try:
        return cast("type[_Backend]", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise EngineLoadError(
            f"The backend {spec.backend!r} can't be imported: {error}. "
            f"Use one of {', '.join(_NAMED_BACKENDS[spec.use])} or module:Class."
        ) from error


def _template_text(template: str | Path | None) -> str | None:
    """Read the operator's file, or one of the package's templates by name."""
    if template is None:
        return None
    if isinstance(template, Path):
        try:
            return template.expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise EngineLoadError(f"The template {template} can't be read: {error}.") from error
    return files("freehold.data").joinpath("templates", template).read_text(encoding="utf-8")


def _not_found(model_id: str) -> NotFoundError:
    return NotFoundError(
        f"The model `{model_id}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def _unservable(model_id: str) -> InternalServerError:
    return InternalServerError(
        f"No engine of this server is bound to `{model_id}`: bind it in freehold.toml "
        f'([models."{model_id}"]) or name another default_model.',
        retryable=False,
    )


def _wrong_endpoint(model: Model, operation_id: str) -> APIError:
    here = _endpoint(operation_id)
    there = " or ".join(dict.fromkeys(_endpoint(o) for o in _entrances(model.row)))
    if operation_id == "createChatCompletion":
        return NotFoundError(
            f"This is not a chat model and thus not supported in the {here} endpoint. "
            f"Did you mean to use {there}?",
            param="model",
        )
    if operation_id == "createCompletion" and model.row.kind == "chat":
        return NotFoundError(
            f"This is a chat model and not supported in the {here} endpoint. "
            f"Did you mean to use {there}?",
            param="model",
        )
    return BadRequestError(
        f"The model `{model.id}` is not supported in the {here} endpoint. Use it with {there}.",
        param="model",
        code="unsupported_model",
    )


def _entrances(row: ModelRow) -> tuple[str, ...]:
    """Return the operations to point a caller to: the first is what the model is for."""
    return row.operations[:1] if row.kind in _TEXT_KINDS else row.operations


def _endpoint(operation_id: str) -> str:
    return f"v1{document.operation(operation_id).path}"
