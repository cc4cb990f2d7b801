"""Change one ``[models."id"]`` table of freehold.toml and leave every other line as it is."""

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

Value = str | int | float | bool


class EditError(Exception):
    """The file can't be changed by a program; the message says what to write by hand."""


def bind(path: Path, model: str, binding: Mapping[str, Value]) -> None:
    """Make ``[models."model"]`` hold exactly ``binding``; the file is made where there is none."""
    before = _read(path)
    kept = _without(before, model)
    table = _table(model, binding)
    text = f"{kept.rstrip()}\n\n{table}" if kept.strip() else table
    expected = _parse(before)
    expected.setdefault("models", {})[model] = dict(binding)
    _check(text, expected, path, f"Write this into it:\n{table}")
    _replace(path, text)


def unbind(path: Path, model: str) -> bool:
    """Remove ``[models."model"]``; False where the file has none."""
    before = _read(path)
    expected = _parse(before)
    if model not in expected.get("models", {}):
        return False
    text = _without(before, model)
    del expected["models"][model]
    _check(text, expected, path, f"Remove what it says of models.{_key(model)}.")
    _replace(path, text)
    return True


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _parse(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _table(model: str, binding: Mapping[str, Value]) -> str:
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in binding.items()]
    return "\n".join([f"[models.{_key(model)}]", *rows, ""])


def _without(text: str, model: str) -> str:
    """Return the text less the lines of the model's table and the tables below it."""
    kept: list[str] = []
    comments: list[str] = []  # those right above the next table stay with it
    removing = False
    for line in text.splitlines(keepends=True):
        if keys := _header(line):
            kept += comments
            comments = []
            removing = keys[:2] == ["models", model]
        if not removing:
            kept.append(line)
        elif line.lstrip().startswith("#"):
            comments.append(line)
        elif line.strip():
            comments = []
    return "".join([*kept, *comments])


def _header(line: str) -> list[str]:
    """Return the keys of a table's header line, [] for any other line."""
    if not line.lstrip().startswith("["):
        return []
    try:
        return _keys(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        return []


def _keys(node: object) -> list[str]:
    """Return the names on the way down a table that holds one thing."""
    if isinstance(node, list):
        return [name for row in cast("list[object]", node)[:1] for name in _keys(row)]
    if isinstance(node, dict) and node:
        name, below = next(iter(cast("dict[str, object]", node).items()))
        return [name, *_keys(below)]
    return []


def _check(text: str, expected: Mapping[str, Any], path: Path, by_hand: str) -> None:
    """Refuse a text that, read as TOML, is not exactly what was wanted."""
    try:
        found = _parse(text)
    except tomllib.TOMLDecodeError:
        found = {}
    if _filled(found) != _filled(expected):
        raise EditError(f"{path} is written in a way that this command can't change. {by_hand}")


def _filled(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "models" or value}


def _replace(path: Path, text: str) -> None:
    """Put the text in the file's place in one step, keeping its permissions."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
