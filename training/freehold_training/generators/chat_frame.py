"""A conversation put together from its turns, with or without a system message of its own."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from freehold_training.example import Example, Item, Split, part

# What the user says, and what the assistant answers.
Exchange = tuple[str, str]

_SYSTEMS = Path(__file__).parents[1] / "pools" / "text_systems.txt"
# About four characters make a token; longer conversations cost more than they teach.
LONGEST = 4000


@cache
def _systems(split: Split) -> Sequence[str]:
    return part(_SYSTEMS.read_text("utf-8").splitlines(), split)


def opening(random: Random, split: Split) -> list[dict[str, Any]]:
    """Return a system message, or none: as often as not the server's own is to be used."""
    if random.random() < 0.5:
        return []
    return [{"role": "system", "content": random.choice(_systems(split))}]


def spoken(exchanges: Sequence[Exchange]) -> list[dict[str, Any]]:
    """Return the messages of the exchanges, in turn."""
    return [
        {"role": role, "content": content}
        for exchange in exchanges
        for role, content in zip(("user", "assistant"), exchange, strict=True)
    ]


def length(example: Example) -> int:
    """Return the characters of all messages of a conversation."""
    return sum(len(message["content"]) for message in example["messages"])


def numbered(row: str, make: Callable[[Random], Item], random: Random) -> Iterator[Item]:
    """Yield held-out requests without end, each with an id of its own."""
    number = 0
    while True:
        number += 1
        item = make(random)
        item["row"], item["id"] = row, f"{row}-{number:04}"
        yield item


def accepted(value: str) -> list[str]:
    """Return the spellings in which a value may stand in a right answer."""
    spellings = [value, value.replace(",", ""), value.removesuffix(" percent") + "%"]
    return spellings[:2] if not value.endswith(" percent") else spellings
