"""The catalogue of models: rows of ``models.toml``."""

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "chat",
    "completion",
    "embedding",
    "moderation",
    "speech",
    "transcription",
    "image",
    "realtime",
]
Modality = Literal["text", "image", "audio", "embedding", "moderation"]
VocabularyName = Literal["o200k_base", "cl100k_base", "p50k_base", "r50k_base"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Alias(BaseModel):
    """A second name of a snapshot, listed with its own date and owner."""

    model_config = _STRICT

    id: str
    created: int
    owned_by: str


class Deprecation(BaseModel):
    """When a model is or was switched off at OpenAI, and what it recommends instead."""

    model_config = _STRICT

    date: date
    replacement: str


class ModelRow(BaseModel):
    """One dated snapshot (or own model) and all that is known of it.

    ``operations`` are the operation ids of the API's document that take the model. ``fixed`` are
    parameters that accept this value only, ``unsupported`` parameters that must be absent.
    ``vocabulary`` names the table that its token ids in the API belong to; None: the engine's own.
    ``temperature`` applies where the caller gives none, ``temperature_many`` where the caller
    gives none and asks for several answers; both belong to the weights, not to OpenAI's name, as do
    ``options``, which are the engine's. ``useful_context`` is how many tokens of passages a weak
    model can make use of; None: as many as fit. ``base`` is the model of ours that the engine asks.
    """

    model_config = _STRICT

    id: str
    aliases: tuple[Alias, ...] = ()
    kind: Kind
    created: int
    owned_by: str
    input: tuple[Modality, ...] = ("text",)
    output: tuple[Modality, ...] = ("text",)
    context_window: int | None = None
    max_output_tokens: int | None = None
    knowledge_cutoff: str | None = None
    vocabulary: VocabularyName | None = None
    dimensions: int | None = None
    operations: tuple[str, ...]
    deprecation: Deprecation | None = None
    reasoning: bool = False
    fixed: dict[str, float] = Field(default_factory=dict[str, float])
    unsupported: tuple[str, ...] = ()
    unsupported_roles: tuple[str, ...] = ()
    temperature: float | None = None
    temperature_many: float | None = None
    backend: str | None = None
    base: str | None = None
    weights: str | None = None
    template: str | None = None
    system_prompt: str | None = None
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    useful_context: int | None = None
    licence: str | None = None


class Listed(BaseModel):
    """A name as the list of models shows it; ``snapshot`` is the row it stands for."""

    model_config = _STRICT

    id: str
    created: int
    owned_by: str
    snapshot: str


class Catalogue:
    """The rows, found by id or alias."""

    def __init__(self, rows: tuple[ModelRow, ...]) -> None:
        self._rows = MappingProxyType({row.id: row for row in rows})
        self._snapshots = {alias.id: row.id for row in rows for alias in row.aliases}

    @classmethod
    def load(cls) -> Self:
        """Return the catalogue of this package."""
        text = files("freehold.data").joinpath("models.toml").read_text(encoding="utf-8")
        return cls(tuple(ModelRow.model_validate(row) for row in tomllib.loads(text)["model"]))

    def find(self, model_id: str) -> ModelRow | None:
        """Return the row of an id; an alias gives the row of its snapshot."""
        return self._rows.get(self._snapshots.get(model_id, model_id))

    def rows(self) -> tuple[ModelRow, ...]:
        """Return all snapshots, in the file's order."""
        return tuple(self._rows.values())

    def ids(self) -> tuple[str, ...]:
        """Return every name, aliases first, as the list of models shows them."""
        return tuple(listed.id for listed in self.listed())

    def listed(self) -> tuple[Listed, ...]:
        """Return every name with its date and owner."""
        return tuple(
            Listed(id=name.id, created=name.created, owned_by=name.owned_by, snapshot=row.id)
            for row in self.rows()
            for name in (*row.aliases, row)
        )


@cache
def catalogue() -> Catalogue:
    """Return the package's catalogue, read once."""
    return Catalogue.load()
