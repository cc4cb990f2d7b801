"""The options of llama.cpp that can be set per model: rows of ``llama_options.toml``."""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

# The option that the setting ``mmproj`` of a model becomes.
MMPROJ = "mmproj.path"

_STRICT = ConfigDict(extra="forbid", frozen=True)


class OptionRow(BaseModel):
    """One option.

    ``target`` is the field of llama.cpp's parameters where it is not ``name``, ``also`` lists names
    that people know from elsewhere. Those that are ``ours`` are not passed on to llama.cpp. Options
    of type ``weights`` and the paths of ``adapters`` are files that must be on this machine.
    """

    model_config = _STRICT

    name: str
    type: Literal[
        "integer",
        "number",
        "boolean",
        "text",
        "choice",
        "numbers",
        "weights",
        "adapters",
        "table",
    ]
    meaning: str
    target: str | None = None
    also: tuple[str, ...] = ()
    ours: bool = False
    least: int | None = None
    length: int | None = None
    choices: dict[str, int] | None = None


class Adapter(BaseModel):
    """A LoRA adapter: its file, and how strongly it acts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: str
    scale: float = 1.0


_TYPES: Mapping[str, tuple[Any, str]] = {
    "integer": (int, "a whole number"),
    "number": (float, "a number"),
    "boolean": (bool, "true or false"),
    "text": (str, "text"),
    "choice": (str, "text"),
    "numbers": (list[float], "a list of numbers"),
    "weights": (str, "a file or a source of weights"),
    "adapters": (list[Adapter], "a list of tables with a path and, if wanted, a scale"),
    "table": (dict[str, Any], "a table"),
}


class _Table(BaseModel):
    model_config = _STRICT

    option: tuple[OptionRow, ...]
    settings: dict[str, str]


def rows() -> Mapping[str, OptionRow]:
    """Return every option by its name."""
    return {row.name: row for row in _table().option}


def offered() -> Mapping[str, OptionRow]:
    """Return the options that an operator may set as such: no setting of the model gives them."""
    return {row.name: row for row in _table().option if row.name not in _table().settings}


@cache
def _table() -> _Table:
    text = files("freehold.data").joinpath("llama_options.toml").read_text(encoding="utf-8")
    return _Table.model_validate(tomllib.loads(text))


def fault(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the options of a model, None where all is right."""
    known = rows()
    for name, value in options.items():
        row = known.get(name)
        if setting := _table().settings.get(name):
            return f"Option {name} is a setting of the model itself: {setting}."
        if row is None:
            return f"Unknown option {name}.{_nearest(name)}"
        if wanted := _wanted(row, value):
            return f"Option {name} is wrong: it should be {wanted}."
    return None


def sources(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files and sources of weights that the options name."""
    for name, value in options.items():
        if (row := rows().get(name)) is not None:
            yield from _sources(row.type, value)


def resolved(options: Mapping[str, Any], path: Callable[[str], str]) -> dict[str, Any]:
    """Return the options with each file or source of weights replaced by its ``path``."""
    known = rows()
    return {name: _resolved(known[name].type, value, path) for name, value in options.items()}


def native(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as llama.cpp's parameters take them, by (dotted) field.

    Names that are not in the table are left as they are.
    """
    fields: dict[str, Any] = {}
    for name, value in options.items():
        row = rows().get(name)
        if row is None:
            fields[name] = value
        elif not row.ours:
            fields[row.target or name] = _native(row, value)
    return fields


def _sources(kind: str, value: Any) -> Iterator[str]:
    if kind == "weights":
        yield value
    elif kind == "adapters":
        yield from (adapter["path"] for adapter in value)


def _resolved(kind: str, value: Any, path: Callable[[str], str]) -> Any:
    if kind == "weights":
        return path(value)
    if kind == "adapters":
        return [{**adapter, "path": path(adapter["path"])} for adapter in value]
    return value


def _wanted(row: OptionRow, value: Any) -> str | None:
    """Return what the value should be, None where it is right."""
    kind, words = _TYPES[row.type]
    try:
        TypeAdapter[Any](kind).validate_python(value, strict=True)
    except ValidationError:
        return words
    if row.choices is not None and value not in row.choices:
        return _one_of(list(row.choices))
    if row.least is not None and value < row.least:
        return f"{row.least} or more"
    if row.length is not None and len(value) > row.length:
        return f"at most {row.length} numbers"
    return None


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _nearest(name: str) -> str:
    names = {known: row.name for row in offered().values() for known in (row.name, *row.also)}
    if match := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f" Did you mean {names[match[0]]}?"
    return f" Known: {', '.join(offered())}."


def _native(row: OptionRow, value: Any) -> Any:
    if row.choices is not None:
        return row.choices[value]
    if row.length is not None:
        return [*map(float, value), *[0.0] * (row.length - len(value))]
    if row.type == "adapters":
        return [[adapter["path"], adapter.get("scale", 1.0)] for adapter in value]
    return value
