"""What the settings bind: which engine serves an id, and the weights that it needs here."""

from collections.abc import Iterator
from pathlib import Path

import click

from freehold.core.errors import APIError
from freehold.core.settings import NO_MODEL, Settings, SettingsError
from freehold.data import llama_options
from freehold.data.models import catalogue
from freehold.data.moderations import PICTURE_WEIGHTS
from freehold.engines.registry import EngineSpec, Registry
from freehold.engines.weights import WeightsStore

_MODERATION = "omni-moderation-latest"


def registry(settings: Settings, runtime_dir: Path = Path("run")) -> Registry:
    """Return a registry; one that shall load engines needs a private ``runtime_dir``.

    Ends the command with one line where the settings bind what can't be bound.
    """
    store = WeightsStore(settings.state_dir)
    try:
        return Registry(catalogue(), settings, store, runtime_dir)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def default_spec(settings: Settings) -> EngineSpec | None:
    """Return what answers ids that nobody has bound."""
    return _spec(settings, "default_model")


def default_is_built_in(settings: Settings) -> bool:
    """Return whether ids that nobody has bound are answered by our own small model."""
    spec = default_spec(settings)
    return spec is not None and any(
        row.weights == spec.weights for row in catalogue().rows() if row.weights
    )


def needed_weights(settings: Settings) -> dict[str, str | None]:
    """Return the weights that the default models and all bindings need here, with their SHA-256."""
    return dict(_needed(settings))


def wanted_weights(settings: Settings) -> dict[str, str | None]:
    """Return the weights that are needed, then those that moderation asks for when it is used.

    Where no model of ours serves anything, moderation's are not wanted either.
    """
    needed = needed_weights(settings)
    spec = registry(settings).find(_MODERATION).spec
    under = spec.base if spec else None
    if not needed or under is None:
        return needed
    return {**needed, **({under.weights: None} if under.weights else {}), PICTURE_WEIGHTS: None}


def _needed(settings: Settings) -> Iterator[tuple[str, str | None]]:
    for setting in ("default_model", "default_embedding_model"):
        spec = _spec(settings, setting)
        if spec and spec.weights:
            yield spec.weights, spec.sha256
    for binding in settings.models.values():
        if binding.weights:
            yield binding.weights, binding.sha256
        for source in (binding.mmproj, *llama_options.sources(binding.options)):
            if source:
                yield source, None


def _spec(settings: Settings, setting: str) -> EngineSpec | None:
    """Return what serves the model that a setting names; ends the command where it can't be."""
    model_id: str = getattr(settings, setting)
    if setting == "default_embedding_model" and model_id == NO_MODEL:
        return None
    try:
        return registry(settings).find(model_id).spec
    except APIError as error:
        raise click.ClickException(f"Setting {setting}: {error.message}") from None


def require_default_weights(settings: Settings) -> None:
    """Raise ``EngineLoadError``, which names the command that helps, where they are missing."""
    spec = default_spec(settings)
    if spec and spec.weights:
        WeightsStore(settings.state_dir).path(spec.weights, spec.sha256)
