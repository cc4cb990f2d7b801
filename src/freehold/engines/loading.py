"""From a configuration to a loaded engine: its files, its options, its backend."""

import asyncio
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from freehold.core.settings import ModelBinding, SettingsError
from freehold.data import embedder_options, judge_options, llama_options
from freehold.engines.base import Admitting, EngineConfig, EngineLoadError
from freehold.engines.budget import MemoryBudget, Tenant
from freehold.engines.holder import Engine
from freehold.engines.weights import WeightsStore

Use = Literal["chat", "embedding", "moderation"]

NAMED_BACKENDS: Mapping[Use, Mapping[str, str]] = {
    "chat": {
        "llama": "freehold.engines.backends.llama:LlamaEngine",
        "upstream": "freehold.engines.backends.upstream:UpstreamEngine",
        "scripted": "freehold.engines.backends.scripted:ScriptedEngine",
    },
    "embedding": {
        "minilm": "freehold.engines.backends.minilm:MiniLMEngine",
        "sentence-transformers": "freehold.engines.backends.sentence:SentenceEngine",
        "llama": "freehold.engines.backends.llama_embeddings:LlamaEmbeddingEngine",
        "upstream": "freehold.engines.backends.upstream_embeddings:UpstreamEmbeddingEngine",
    },
    "moderation": {
        "classifier": "freehold.engines.backends.classifier:ClassifierEngine",
        "judge": "freehold.engines.backends.judge:JudgeEngine",
    },
}
LLAMA, UPSTREAM = NAMED_BACKENDS["chat"]["llama"], NAMED_BACKENDS["chat"]["upstream"]
JUDGE = NAMED_BACKENDS["moderation"]["judge"]
_LLAMAS = frozenset(NAMED_BACKENDS[use]["llama"] for use in ("chat", "embedding"))
# Fields of a binding that only some backends know.
_FIELDS = frozenset({"base_url", "api_key_env", "timeout_s", "retries", "script"})
_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


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
    base: "EngineSpec | None" = None


class Backend(Protocol):
    """A class that can load a model."""

    @classmethod
    async def load(cls, config: EngineConfig) -> Engine: ...


class Loader:
    """Loads engines within the memory budget."""

    def __init__(self, weights: WeightsStore, runtime_dir: Path, budget: MemoryBudget) -> None:
        self._weights = weights
        self._runtime_dir = runtime_dir
        self._budget = budget

    async def load(self, spec: EngineSpec, tenant: Tenant, base: Admitting | None) -> Engine:
        """Return the engine, once there is memory for it; ``base`` is the one that it asks.

        Raises ``EngineLoadError``, and ``ServiceUnavailableError`` where there is no memory.
        """
        backend = _backend(spec)
        config = await asyncio.to_thread(self._config, spec, base)
        async with self._budget.room(tenant, _bytes_of(config)) as room:
            engine = await backend.load(config)
            room.bytes = engine.status().resident_bytes or room.bytes
        return engine

    def _config(self, spec: EngineSpec, base: Admitting | None) -> EngineConfig:
        """Resolve every file of the model; reads and hashes what has changed."""
        options = json.loads(spec.options)
        if spec.backend in _LLAMAS:
            options = llama_options.resolved(options, lambda name: str(self._weights.path(name)))
        return EngineConfig(
            model=spec.model,
            runtime_dir=self._runtime_dir,
            weights=self._weights.served(spec.weights, spec.sha256) if spec.weights else None,
            slots=spec.slots,
            context=spec.context,
            threads=spec.threads,
            template=_template_text(spec.template),
            system_prompt=spec.system_prompt,
            options=options,
            base=base,
        )


def options_of(backend: str, binding: ModelBinding, own: Mapping[str, Any]) -> str:
    """Return what only the backend knows, as canonical JSON (a spec must be hashable).

    ``own`` are the weights' own options; the binding's go before them.
    """
    if backend not in _LLAMAS:
        given = binding.model_dump(mode="json", include=set(_FIELDS), exclude_none=True)
    else:
        given = {**own, llama_options.MMPROJ: binding.mmproj} if binding.mmproj else own
    return json.dumps({**given, **binding.options}, sort_keys=True)


def check_options(name: str, binding: ModelBinding) -> None:
    """Raise ``SettingsError`` for options that the binding's backend does not have."""
    if not binding.options:
        return
    where = f'models."{name}".options'
    if binding.backend in {"llama", *_LLAMAS}:
        fault = llama_options.fault(binding.options)
    elif binding.backend in {"minilm", NAMED_BACKENDS["embedding"]["minilm"]}:
        fault = embedder_options.fault(binding.options)
    elif binding.backend in {"judge", JUDGE}:
        fault = judge_options.fault(binding.options)
    elif ":" not in binding.backend:
        fault = f"the backend {binding.backend} takes no options."
    else:
        return
    if fault:
        raise SettingsError(f"{where}: {fault}")


def _backend(spec: EngineSpec) -> type[Backend]:
    """Import a ``module:Class``; only here, so that unused engines cost nothing."""
    module, _, attribute = spec.backend.partition(":")
    try:
        return cast("type[Backend]", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise EngineLoadError(
            f"The backend {spec.backend!r} can't be imported: {error}. "
            f"Use one of {', '.join(NAMED_BACKENDS[spec.use])} or module:Class."
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


def _bytes_of(config: EngineConfig) -> int:
    """Return the size of all files that the engine will have in memory."""
    others = llama_options.sources(config.options)
    paths = [config.weights, *map(Path, others)]
    return sum(part.stat().st_size for path in paths if path for part in _parts(path))


def _parts(path: Path) -> list[Path]:
    """Return all files of weights that are cut into several."""
    if not (match := _PART.search(path.name)):
        return [path]
    stem = path.name[: match.start()]
    return sorted(path.parent.glob(f"{stem}-?????-of-{match[1]}.gguf"))
