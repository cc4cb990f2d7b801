"""Records with known values, the text that tells them, and the JSON schema that asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from freehold_training.example import Split
from freehold_training.pools.text_values import Filling, draw, fill

_FILE = Path(__file__).parents[1] / "pools" / "json_records.txt"
_TYPES = {"text": "string", "integer": "integer", "number": "number"}


@dataclass(frozen=True)
class Field:
    """One field of a record, under any of its names."""

    names: Sequence[str]
    kind: str
    type: str
    optional: bool
    say: Sequence[str]


@dataclass
class Record:
    """What texts of one sort tell."""

    name: str
    called: str
    held_out: bool
    fields: list[Field] = field(default_factory=list[Field])


@dataclass(frozen=True)
class Told:
    """A text, the answer it leads to, and the schema of that answer.

    ``label`` says that the answer is one about the text, not one that is told in it.
    """

    name: str
    called: str
    text: str
    answer: dict[str, Any]
    schema: dict[str, Any]
    label: bool = False


@cache
def records(split: Split) -> Sequence[Record]:
    """Return the records of the split; the two have none in common."""
    return [record for record in _records() if record.held_out == (split == "held_out")]


@cache
def _records() -> Sequence[Record]:
    found: list[Record] = []
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("=="):
            name, called = (cell.strip() for cell in line.lstrip("=* ").split("|"))
            found.append(Record(name, called, line.startswith("==*")))
        elif line and not line.startswith("#"):
            found[-1].fields.append(_field(line))
    return found


def _field(line: str) -> Field:
    names, value, say = (cell.strip() for cell in line.split("|"))
    kind, type_ = value.split()
    return Field(
        names.split(", "), kind, _TYPES[type_.rstrip("?")], type_.endswith("?"), say.split(" ; ")
    )


def told(random: Random, split: Split) -> Told:
    """Return a new record; of its fields some, in an order of their own in the text."""
    record = random.choice(records(split))
    first, *others = record.fields
    fields = [first, *random.sample(others, random.randint(2, len(others)))]
    values = {id(one): _value(one, random, split) for one in fields}
    schema_order = fields if random.random() < 0.5 else random.sample(fields, len(fields))
    names = {id(one): random.choice(one.names) for one in fields}
    if len(set(names.values())) < len(names):
        return told(random, split)
    return Told(
        record.name,
        record.called,
        _text(fields, values, names, random, split),
        {names[id(one)]: as_json(one.type, values[id(one)]) for one in schema_order},
        object_schema({names[id(one)]: _property(one) for one in schema_order}),
    )


def _value(one: Field, random: Random, split: Split) -> str | None:
    if one.optional and random.random() < 0.35:
        return None
    return draw(one.kind, random, split)


def _text(
    fields: Sequence[Field],
    values: dict[int, str | None],
    names: dict[int, str],
    random: Random,
    split: Split,
) -> str:
    first = fields[0]
    said = [first, *random.sample(fields[1:], len(fields) - 1)]
    said = [one for one in said if values[id(one)] is not None]
    if random.random() < 0.15:
        return "\n".join(f"{names[id(one)].replace('_', ' ')}: {values[id(one)]}" for one in said)
    known = values[id(first)] or ""
    return " ".join(
        fill(random.choice(one.say), Filling(random, split, s=known, v=values[id(one)] or ""))
        for one in said
    )


def _property(one: Field) -> dict[str, Any]:
    return {"type": [one.type, "null"] if one.optional else one.type}


def as_json(type_: str, value: str | None) -> Any:
    """Return the value as JSON of that type holds it: numbers without marks for thousands."""
    if value is None or type_ == "string":
        return value
    plain = value.replace(",", "")
    return int(plain) if type_ == "integer" else float(plain)


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the strict schema of an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
