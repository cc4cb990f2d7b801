"""The settings of a training, from one TOML file."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What is learnt; ``shares`` weighs the rows, one that is not named counts 1."""

    seed: int
    tokens: int
    longest: int
    validation: int
    extra: tuple[Path, ...] = ()
    shares: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """How it is learnt; see the comments in settings.toml."""

    seed: int
    rank: int
    alpha: float
    learning_rate: float
    warmup: float
    floor: float
    weight_decay: float
    clip: float
    epochs: int
    step_tokens: int
    micro_tokens: int
    gpu_micro_tokens: int
    checkpoint_minutes: float
    validate_steps: int
    threads: int
    number: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file, its paths made absolute."""

    name: str
    template: Path
    build: Path
    data: DataSettings
    tune: TuneSettings

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings of a file. Raises ``TypeError`` where one is missing or unknown."""
        given: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        folder = path.resolve().parent
        data = given["data"]
        data["extra"] = tuple(folder / file for file in data.get("extra", ()))
        return cls(
            name=given["name"],
            template=folder / given["template"],
            build=folder / given["build"],
            data=DataSettings(**data),
            tune=TuneSettings(**given["tune"]),
        )
