"""What the settings bind: which engine serves an id, and the weights that it needs here."""

from collections.abc import Iterator
from pathlib import Path

from freehold.core.errors import NotFoundError
from freehold.core.settings import Settings
from freehold.data.models import catalogue
from freehold.engines.registry import EngineSpec, Registry
from freehold.engines.weights import WeightsStore


def registry(settings: Settings, runtime_dir: Path = Path("run")) -> Registry:
    """Return a registry; one that shall load engines needs a private ``runtime_dir``."""
    return Registry(catalogue(), settings, WeightsStore(settings.state_dir), runtime_dir)


def default_spec(settings: Settings) -> EngineSpec | None:
    """Return what answers ids that nobody has bound."""
    return registry(settings).find(settings.default_model).spec


def default_is_built_in(settings: Settings) -> bool:
    """Return whether ids that nobody has bound are answered by our own small model."""
    spec = default_spec(settings)
    return spec is not None and any(
        row.weights == spec.weights for row in catalogue().rows() if row.weights
    )


def needed_weights(settings: Settings) -> dict[str, str | None]:
    """Return the weights that the default models and all bindings need here, with their SHA-256."""
    return dict(_needed(settings))


def _needed(settings: Settings) -> Iterator[tuple[str, str | None]]:
    for spec in (default_spec(settings), _default_embedding_spec(settings)):
        if spec and spec.weights:
            yield spec.weights, spec.sha256
    for binding in settings.models.values():
        if binding.weights:
            yield binding.weights, binding.sha256


def _default_embedding_spec(settings: Settings) -> EngineSpec | None:
    """Return what answers embedding ids that nobody has bound, None where nothing shall."""
    try:
        return registry(settings).find(settings.default_embedding_model).spec
    except NotFoundError:
        return None


def require_default_weights(settings: Settings) -> None:
    """Raise ``EngineLoadError``, which names the command that helps, where they are missing."""
    spec = default_spec(settings)
    if spec and spec.weights:
        WeightsStore(settings.state_dir).path(spec.weights, spec.sha256)
