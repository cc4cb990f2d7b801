"""How long what the server keeps is kept."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from freehold.core.ids import Kind


class Retention(BaseModel):
    """A row of ``retention.toml``, about objects of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str
    kept_when: str
    days: int | None = None
    zero_retention: Literal["never", "refused"]

    @property
    def seconds(self) -> int:
        """How long an object is kept after its creation. ``ValueError``: until it is deleted."""
        if self.days is None:
            raise ValueError(f"{self.endpoint} keeps its objects until they are deleted")
        return self.days * 24 * 60 * 60


def retention(kind: Kind) -> Retention:
    """Return the rule for objects of a kind. Raises ``KeyError`` where none are kept."""
    return retentions()[kind]


@cache
def retentions() -> Mapping[str, Retention]:
    """Return every rule by the kind of object (as ``core/ids.py`` names them)."""
    text = resources.files("freehold.data").joinpath("retention.toml").read_text()
    return {kind: Retention.model_validate(row) for kind, row in tomllib.loads(text).items()}
