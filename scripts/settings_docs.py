"""Write the tables of docs/settings.md from the settings' model (``--check`` only compares)."""

import sys
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import generated
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from freehold.core.settings import (
    InterpreterSettings,
    JobSettings,
    ModelBinding,
    Settings,
    VisionSettings,
)
from freehold.data import llama_options

_INTRODUCTION = "Options of llama.cpp, by its own names, for models of the backend `llama`."
_TABLES = ("models", "vision", "jobs", "interpreter")
_OPTION_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "text": "text",
    "numbers": "list of numbers",
    "weights": "path or source",
    "adapters": "list of tables",
    "table": "table",
}


def main(arguments: list[str]) -> None:
    """Write the page, or compare it."""
    generated.keep("settings.md", "settings_docs.py", text(), arguments)


def text() -> str:
    """Return all tables."""
    bindings = f'## `[models."ID"]`\n\n{_table(ModelBinding, variables=False)}'
    vision = f"## `[vision]`\n\n{_table(VisionSettings, variables=False)}"
    jobs = f"## `[jobs]`\n\n{_table(JobSettings, variables=False)}"
    interpreter = f"## `[interpreter]`\n\n{_table(InterpreterSettings, variables=False)}"
    options = f'## `[models."ID".options]`\n\n{_INTRODUCTION}\n\n{_options_table()}'
    settings = f"## Settings\n\n{_table(Settings, variables=True)}"
    return f"{settings}\n\n{vision}\n\n{jobs}\n\n{interpreter}\n\n{bindings}\n\n{options}"


def _options_table() -> str:
    rows = llama_options.offered().values()
    lines = [f"| `options.{row.name}` | {_option_type(row)} | {row.meaning} |" for row in rows]
    return "\n".join(["| Option | Type | Meaning |", "| --- | --- | --- |", *lines])


def _option_type(row: llama_options.OptionRow) -> str:
    if row.choices is not None:
        return ", ".join(f"`{name}`" for name in row.choices)
    return _OPTION_TYPES[row.type]


def _table(model: type[BaseModel], *, variables: bool) -> str:
    heads = ["Setting", *(["Variable"] if variables else []), "Type", "Default", "Meaning"]
    rows = [_row(name, field, variables=variables) for name, field in model.model_fields.items()]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, field: FieldInfo, *, variables: bool) -> list[str]:
    variable = "file only" if name in _TABLES else f"`FREEHOLD_{name.upper()}`"
    return [
        f"`{name}`",
        *([variable] if variables else []),
        _type(field.annotation),
        _default(field.default),
        field.description or "",
    ]


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in {Union, UnionType}:
        return _type(next(part for part in arguments if part is not type(None)))
    if origin in {list, dict}:
        return "list" if origin is list else "tables"
    if issubclass(annotation, BaseModel):
        return "table"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    return names.get(annotation.__name__, annotation.__name__.lower())


def _default(value: Any) -> str:
    if value is None or value in ([], {}) or isinstance(value, BaseModel):
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    main(sys.argv[1:])
