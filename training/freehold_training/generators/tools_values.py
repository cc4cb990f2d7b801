"""Values for the arguments of calls: drawn from pools, or made up so that copying is learnt."""

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any, cast

from freehold_training.example import Split, part

_POOLS = files("freehold_training") / "pools"
_SLOT = re.compile(r"\{([^{}]+)\}")
_ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "dr", "fl", "gr", "kl", "pr", "sh", "st", "tr")
_VOWELS = (*"aeiouaeio", "ai", "ea", "ou")
_CODAS = ("", "", "", "n", "r", "l", "s", "x", "nd", "rt", "m", "th")


@dataclass(frozen=True)
class Value:
    """A JSON value, and the words in which a user says it."""

    json: Any
    said: str


@functools.cache
def pool(name: str) -> dict[str, Any]:
    """Return the content of a TOML file among the pools."""
    return tomllib.loads((_POOLS / f"{name}.toml").read_text("utf-8"))


def drawn(kind: Any, random: Random, split: Split) -> Value:
    """Draw a value of a kind as the catalogue writes it: a text, or a table for an object."""
    if isinstance(kind, dict):
        return _object(cast("dict[str, Any]", kind), random, split)
    name = bare(kind)
    if "|" in name:
        return _chosen(name, random)
    head, colon, rest = name.partition(":")
    if head == "list":
        return several(rest, random, split)
    if head in ("int", "num"):
        return _number(head, rest, random)
    text = rest if colon else word_of(name, random, split)
    return Value(text, text)


def _chosen(choices: str, random: Random) -> Value:
    if choices.startswith("bool:"):
        true, false = choices.removeprefix("bool:").split("|")
        told = random.random() < 0.5
        return Value(told, true if told else false)
    value, _, said = random.choice(choices.split("|")).partition("=")
    return Value(value, said or value)


def bare(kind: str) -> str:
    """Return a kind without the description of its argument."""
    return kind.partition(" ~ ")[0]


def joined(parts: list[str], last: str = "and") -> str:
    """Say several things in a row: ``a, b and c``."""
    return f" {last} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def word_of(kind: str, random: Random, split: Split) -> str:
    """Draw a text of the kind which belongs to the split."""
    forms, plain = _kind(kind, split)
    if plain:
        return random.choice(forms)
    while True:
        text = _SLOT.sub(lambda slot: _piece(slot[1], random, split), random.choice(forms))
        if part([text], split):
            return text


@functools.cache
def _kind(kind: str, split: Split) -> tuple[tuple[str, ...], bool]:
    forms: list[str] = pool("tools_values")[kind]
    plain = not any("{" in form for form in forms)
    return tuple(part(forms, split) if plain else forms), plain


def _piece(slot: str, random: Random, split: Split) -> str:
    name, _, rest = slot.partition(":")
    if name == "digits":
        return "".join(random.choices("0123456789", k=int(rest)))
    if name == "letters":
        return "".join(random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=int(rest)))
    if name == "int":
        return _number("int", rest, random).said
    text = _made_up(random) if name == "new_word" else word_of(name, random, split)
    return text.lower().replace(" ", "") if rest == "lower" else text


def _made_up(random: Random) -> str:
    syllables = (
        random.choice(_ONSETS) + random.choice(_VOWELS) + random.choice(_CODAS)
        for _ in range(random.choice([2, 2, 3]))
    )
    return "".join(syllables).capitalize()


def _number(kind: str, limits: str, random: Random) -> Value:
    low, high, *step = (int(limit) for limit in limits.split(":"))
    if kind == "int":
        number = random.randrange(low, high + 1, *step)
        return Value(number, str(number))
    exact = round(random.uniform(low, high), random.choice([1, 2, 2]))
    value = int(exact) if exact.is_integer() or random.random() < 0.3 else exact
    return Value(value, str(value))


def several(kind: Any, random: Random, split: Split) -> Value:
    """Draw one to four different values of a kind, as a list."""
    wanted = random.choice([1, 2, 2, 2, 3, 3, 4])
    values = different([drawn(kind, random, split) for _ in range(2 * wanted)])[:wanted]
    return Value([value.json for value in values], joined([value.said for value in values]))


def different(values: list[Value]) -> list[Value]:
    """Return the values without repetitions; objects differ in their first field."""
    return list({_identity(value): value for value in values}.values())


def _identity(value: Value) -> str:
    told: Any = value.json
    return (
        str(next(iter(cast("dict[str, Any]", told).values()))) if type(told) is dict else value.said
    )


def _object(kinds: dict[str, Any], random: Random, split: Split) -> Value:
    said = str(kinds["said"])
    values = {name: drawn(kinds[name], random, split) for name in kinds if name != "said"}
    text = _SLOT.sub(lambda slot: values[slot[1]].said, said)
    return Value({name: values[name].json for name in values}, text)
