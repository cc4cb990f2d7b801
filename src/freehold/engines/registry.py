"""Which engine answers for a model id: the catalogue and the operator's bindings, resolved."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from freehold.core.errors import APIError, BadRequestError, NotBuiltError, NotFoundError
from freehold.core.settings import NO_MODEL, ModelBinding, Settings, SettingsError
from freehold.data import document
from freehold.data.models import Catalogue, Listed, ModelRow, VocabularyName
from freehold.engines import specs
from freehold.engines.base import (
    EmbeddingEngine,
    EngineLoadError,
    EngineStatus,
    ModerationEngine,
    TextEngine,
)
from freehold.engines.budget import MEGABYTE, MemoryBudget, machine_budget
from freehold.engines.holder import Engine, Holder, LoadFailedError
from freehold.engines.loading import (
    JUDGE,
    NAMED_BACKENDS,
    UPSTREAM,
    EngineSpec,
    Loader,
    Use,
    check_options,
)
from freehold.engines.specs import Specs
from freehold.engines.weights import WeightsStore

_API_TEMPERATURE = 1.0
_TEXT_KINDS = frozenset({"chat", "completion"})
# What an operator's own id can be asked for: all that our own model of its kind takes.
_USES: Mapping[str, Use] = {
    "chat": "chat",
    "completion": "chat",
    "embedding": "embedding",
    "moderation": "moderation",
}


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
    def moderation(self) -> Holder[ModerationEngine]:
        """The moderation engine. Raises ``NotBuiltError`` where the model has none."""
        return cast("Holder[ModerationEngine]", self._of("moderation", "moderation"))

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
        if self.spec and self.spec.backend == UPSTREAM:
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
        limit = settings.memory_budget_mb
        self._budget = MemoryBudget(machine_budget() if limit is None else limit * MEGABYTE)
        self._specs = Specs(catalogue, settings)
        self._loader = Loader(weights, runtime_dir, self._budget)
        self._holders: dict[EngineSpec, Holder[Any]] = {}
        self._found: dict[str, Model] = {}
        self._patterns = sorted(
            (name for name in settings.models if _is_pattern(name)), key=len, reverse=True
        )
        self._check()

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
        """Load the engine that unbound ids use, unless it has been loaded once and put away.

        Raises ``EngineLoadError``.
        """
        try:
            await self.find(self._settings.default_model).text.prove()
        except LoadFailedError:
            raise
        except APIError as error:
            raise EngineLoadError(f"default_model can't be served. {error.message}") from error

    def statuses(self) -> Mapping[str, EngineStatus]:
        """Return what each engine that was asked for says, by the name of its model."""
        found: dict[str, EngineStatus] = {}
        for spec, holder in self._holders.items():
            others = sum(name.split(" #")[0] == spec.model for name in found)
            name = f"{spec.model} #{others + 1}" if others else spec.model
            found[name] = replace(holder.status(), serves=self._served_by(holder))
        return found

    async def close(self) -> None:
        """Stop every engine."""
        await asyncio.gather(*(holder.close() for holder in self._holders.values()))

    def _served_by(self, holder: Holder[Any]) -> tuple[str, ...]:
        return tuple(sorted(id_ for id_, model in self._found.items() if model.holder is holder))

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

    def _check(self) -> None:
        """Raise ``SettingsError`` for bindings that can't be meant; keep what is pinned."""
        for pattern in self._patterns:
            self._check_kind(pattern)
        for name, binding in self._settings.models.items():
            check_options(name, binding)
            self._check_moderation(name, binding)
            if binding.pinned and not _is_pattern(name):
                self.find(name)

    def _check_moderation(self, name: str, binding: ModelBinding) -> None:
        """Raise ``SettingsError`` for a backend or a judge that can't moderate."""
        row = self._catalogue.find(name)
        kind = row.kind if row else binding.kind
        named = NAMED_BACKENDS["moderation"]
        known = binding.backend in named or ":" in binding.backend
        if kind == "moderation" and not known:
            raise SettingsError(
                f'models."{name}": a moderation model needs `backend`, one of '
                f"{', '.join(named)} or module:Class."
            )
        if binding.backend in {"judge", JUDGE}:
            self._check_judge(name, binding)

    def _check_judge(self, name: str, binding: ModelBinding) -> None:
        """Raise ``SettingsError`` for a judge that is no model of text."""
        row = self._catalogue.find(binding.model or "")
        bound = self._settings.models.get(binding.model or "")
        kind = row.kind if row else bound and bound.kind
        if kind not in _TEXT_KINDS:
            raise SettingsError(
                f'models."{name}": a judge needs the id of a chat model as `model`'
                f"{f', which {binding.model} is not' if binding.model else ''}."
            )

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
        ours = specs.our_row(self._catalogue, binding.kind)
        return ModelRow(
            id=model_id,
            kind=binding.kind,
            created=_created(binding, ours),
            owned_by=binding.owned_by or "freehold",
            input=ours.input if binding.kind == "moderation" else ("text",),
            context_window=binding.context_window,
            max_output_tokens=binding.max_output_tokens or binding.context_window,
            operations=ours.operations,
        )

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
            spec = self._specs.of_row(use, row)
        holder = self._holder(spec)
        if binding is not None and binding.pinned:
            holder.pin()
        return Model(model_id, row, spec, holder, binding, defaults)

    def _default_id(self, use: Use) -> str:
        return {
            "chat": self._settings.default_model,
            "embedding": self._settings.default_embedding_model,
        }[use]

    def _by_default(self, use: Use, model_id: str, row: ModelRow) -> Model:
        """Return an id that nobody has bound, served by the default model of its kind."""
        if use == "embedding" and self._default_id(use) == NO_MODEL:
            return Model(model_id, row, None, None)
        try:
            default = self.find(self._default_id(use))
        except NotFoundError as error:
            raise specs.unservable(self._default_id(use), use) from error
        if default.spec is None or default.spec.use != use:
            raise specs.unservable(default.id, use)
        return Model(model_id, row, default.spec, default.holder, default.binding, default.defaults)

    def _row_of_weights(self, weights: str | None) -> ModelRow | None:
        return next((r for r in self._catalogue.rows() if weights and r.weights == weights), None)

    def _bound_spec(
        self, use: Use, row: ModelRow, binding: ModelBinding, defaults: ModelRow | None
    ) -> EngineSpec:
        if specs.backend_of(use, binding) != JUDGE:
            return self._specs.of_binding(use, row, binding, defaults)
        judge = self.find(binding.model or "")
        return specs.of_judge(row, binding, judge.id, judge.spec)

    def _holder(self, spec: EngineSpec) -> Holder[Any]:
        if spec not in self._holders:
            self._holders[spec] = self._new_holder(spec)
        return self._holders[spec]

    def _new_holder(self, spec: EngineSpec) -> Holder[Any]:
        base = self._holder(spec.base) if spec.base else None

        async def load() -> Engine:
            return await self._loader.load(spec, holder, base)

        holder = Holder(
            load,
            self._settings.queue_limit,
            idle_unload_s=self._settings.idle_unload_s,
            on_idle=self._budget.changed,
            on_unloaded=lambda: self._budget.release(holder),
        )
        return holder


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _created(binding: ModelBinding, ours: ModelRow) -> int:
    """Return the date of the weights' file, else that of our own model's release."""
    file = Path(binding.weights).expanduser() if binding.weights else None
    return int(file.stat().st_mtime) if file and file.is_file() else ours.created


def _not_found(model_id: str) -> NotFoundError:
    return NotFoundError(
        f"The model `{model_id}` does not exist or you do not have access to it.",
        code="model_not_found",
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
