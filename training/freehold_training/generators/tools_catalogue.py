"""The catalogue of tools: definitions as a request gives them, and requests with their calls."""

import functools
import json
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from freehold_training.example import Split
from freehold_training.generators.tools_values import Value, bare, drawn, pool, several

_CHOICE = re.compile(r"\(([^()\[\]]*\|[^()\[\]]*)\)|\[([^()\[\]]*)\]")
_SLOT = re.compile(r"\{([\w.]+)\}")
_FILES = {
    "train": ("tools_home", "tools_office", "tools_travel", "tools_technical"),
    "held_out": ("tools_held_out",),
}


@dataclass(frozen=True)
class Tool:
    """A tool as the pools describe it.

    ``args`` maps names (a ``?`` at the end: optional, ``[]``: a list of objects) to kinds of
    values; of tools with the same ``group`` only one is given at a time, as each would fit.
    ``many`` names the argument of which a user may say several at once ("-": none; left out: the
    first, if it takes any text).
    """

    name: str
    area: str
    does: str
    args: dict[str, Any]
    asks: list[str]
    group: str = ""
    lacks: list[str] = field(default_factory=list[str])
    returns: dict[str, Any] = field(default_factory=dict[str, Any])
    tells: list[str] = field(default_factory=list[str])
    further: list[str] = field(default_factory=list[str])
    many: str = ""

    @property
    def required(self) -> list[str]:
        """Names of the arguments that a call must have."""
        return [name for name in self.args if not name.endswith("?")]


@dataclass(frozen=True)
class Asked:
    """A request in the user's turns, the values it names, and the arguments that they make."""

    turns: list[str]
    values: dict[str, Value]
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Style:
    """How the definitions of one example are written."""

    camel: bool
    described: float
    closed: bool

    @staticmethod
    def drawn(random: Random) -> "Style":
        """Draw a style: mostly snake_case, arguments described more or less often."""
        return Style(random.random() < 0.25, random.choice([0, 0.4, 1]), random.random() < 0.1)

    def named(self, name: str) -> str:
        """Return a name as this style writes it."""
        first, *others = name.split("_")
        return first + "".join(word.capitalize() for word in others) if self.camel else name


@functools.cache
def catalogue(split: Split) -> tuple[Tool, ...]:
    """Return the tools of the split."""
    return tuple(Tool(**row) for file in _FILES[split] for row in pool(file)["tool"])


def expanded(template: str, random: Random, keep: float = 0.5) -> str:
    """Resolve ``(one|other)`` and ``[left out at times]`` in a template."""

    def resolved(found: re.Match[str]) -> str:
        if found[1] is not None:
            return random.choice(found[1].split("|"))
        return found[2] if random.random() < keep else ""

    while _CHOICE.search(template):
        template = _CHOICE.sub(resolved, template)
    return template


def filled(template: str, values: dict[str, Value]) -> str:
    """Put the words of the values into the template's slots."""
    return _SLOT.sub(lambda slot: values[slot[1]].said, template)


def slots(template: str) -> list[str]:
    """Return the names of the template's slots."""
    return _SLOT.findall(template)


def asked(tool: Tool, random: Random, split: Split) -> Asked:
    """Make a request that the tool answers, which names every argument it needs."""
    text = expanded(random.choice(tool.asks), random)
    values = {slot: value_for(tool, slot, random, split) for slot in slots(text)}
    turns = [filled(sentence(turn), values) for turn in text.split(" // ")]
    return Asked(turns, values, arguments(tool, values))


def sentence(text: str) -> str:
    """Begin a template with a capital letter; a value at its beginning stays as it is."""
    return text[:1].upper() + text[1:]


def arguments(tool: Tool, values: dict[str, Value]) -> dict[str, Any]:
    """Return a call's arguments for the named values, in the order of the definition."""
    told: dict[str, Any] = {}
    for name, kind in tool.args.items():
        plain = name.rstrip("?").removesuffix("[]")
        if plain in values:
            told[plain] = values[plain].json
        elif isinstance(kind, dict):
            inner = _inside(plain, values)
            told |= {plain: inner} if inner else {}
    return told


def _inside(outer: str, values: dict[str, Value]) -> dict[str, Any]:
    named = {name.partition("."): value.json for name, value in values.items()}
    return {last: told for (first, dot, last), told in named.items() if dot and first == outer}


def value_for(tool: Tool, slot: str, random: Random, split: Split) -> Value:
    """Draw a value for the named argument, or for a field of one (``address.city``)."""
    kinds: Any = tool.args
    *outer, last = slot.split(".")
    for name in outer:
        kinds = kinds[_written(kinds, name)]
    written = _written(kinds, last)
    make = several if written.rstrip("?").endswith("[]") else drawn
    return make(kinds[written], random, split)


def _written(kinds: dict[str, Any], name: str) -> str:
    return next(key for key in kinds if key.rstrip("?").removesuffix("[]") == name)


def definition(tool: Tool, style: Style, random: Random) -> dict[str, Any]:
    """Return the tool as a request defines it."""
    parameters = _object(tool.args, style, random)
    function = {"name": style.named(tool.name), "description": tool.does, "parameters": parameters}
    return {"type": "function", "function": function}


def _object(kinds: dict[str, Any], style: Style, random: Random) -> dict[str, Any]:
    shown = {name: kind for name, kind in kinds.items() if name != "said"}
    properties = {
        style.named(name.rstrip("?").removesuffix("[]")): _schema(name, kind, style, random)
        for name, kind in shown.items()
    }
    required = [style.named(name.removesuffix("[]")) for name in shown if not name.endswith("?")]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema | ({"additionalProperties": False} if style.closed else {})


def _schema(name: str, kind: Any, style: Style, random: Random) -> dict[str, Any]:
    if isinstance(kind, dict):
        inner = _object(cast("dict[str, Any]", kind), style, random)
        return {"type": "array", "items": inner} if name.rstrip("?").endswith("[]") else inner
    schema = _type(bare(kind))
    told = kind.partition(" ~ ")[2]
    return schema | ({"description": told} if told and random.random() < style.described else {})


def _type(kind: str) -> dict[str, Any]:
    head, _, rest = kind.partition(":")
    plain = {"int": "integer", "num": "number", "bool": "boolean"}.get(head)
    if plain:
        return {"type": plain}
    if head == "list":
        return {"type": "array", "items": _type(rest)}
    if "|" in kind:
        return {"type": "string", "enum": [value.partition("=")[0] for value in kind.split("|")]}
    return {"type": "string"}


def call(number: int, tool: Tool, told: dict[str, Any], style: Style) -> dict[str, Any]:
    """Return a call as the assistant writes it."""
    text = json.dumps(_renamed(told, style), ensure_ascii=False)
    function = {"name": style.named(tool.name), "arguments": text}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _renamed(value: Any, style: Style) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {style.named(name): _renamed(told, style) for name, told in fields.items()}
    if isinstance(value, list):
        return [_renamed(one, style) for one in cast("list[Any]", value)]
    return value
