"""The numbers of a training, from a TOML file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Settings:
    """How large the network is and how it is learnt.

    ``shares`` bound how many harmless texts and harmless contrast sentences may be flagged, of
    sources not learnt from.
    ``folds`` are sources that are held out together.
    """

    hidden: int
    dropout: float
    epochs: int
    batch: int
    rate: float
    gram_rate: float
    decay: float
    seeds: int
    shares: list[float]
    folds: list[list[str]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings of a file."""
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return cls(**table)
