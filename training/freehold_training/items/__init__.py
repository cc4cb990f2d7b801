"""The questions of the evaluation. They are fixed, so that figures can be compared over time.

``held_out.jsonl.gz`` holds the rows that our generators made (``python -m freehold_training.items``
makes it again); the other rows are written by hand or made of ordinary sentences.
"""

import gzip
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import islice
from typing import Any

from freehold_training.example import Item
from freehold_training.items import needle

HELD_OUT = "held_out.jsonl.gz"
HELD_OUT_ROWS = (
    "tool_call",
    "tool_parallel",
    "tool_none",
    "tool_result",
    "json",
    "reading",
    "reading_absent",
    "memory",
)
CONVERSATIONS = "conversation"
"""The row whose answers are only shown: nobody judges them."""
ROWS = (*HELD_OUT_ROWS, "general", "open", *needle.SIZES, CONVERSATIONS)

_NEEDLE_SEED = 5
_GENERAL_TOKENS, _OPEN_TOKENS = 150, 200


def load(rows: Sequence[str] = ROWS, limit: int | None = None) -> list[Item]:
    """Return the items of the rows, ``limit`` of each. Raises ``ValueError`` for unknown rows."""
    unknown = sorted(set(rows) - set(ROWS))
    if unknown:
        raise ValueError(f"There is no row {', '.join(unknown)}; there are {', '.join(ROWS)}.")
    return [item for row in rows for item in islice(_row(row), limit)]


def _row(row: str) -> Iterator[Item]:
    if row in HELD_OUT_ROWS:
        return (item for item in _held_out() if item["row"] == row)
    if row in needle.SIZES:
        return needle.items(row, _NEEDLE_SEED)
    return _BY_HAND[row]()


def _held_out() -> Iterator[Item]:
    packed = files(__name__).joinpath(HELD_OUT).read_bytes()
    for line in gzip.decompress(packed).splitlines():
        yield json.loads(line)


def _read(name: str) -> Mapping[str, Any]:
    return tomllib.loads(files(__name__).joinpath(name).read_text("utf-8"))


def _general() -> Iterator[Item]:
    for number, question in enumerate(_read("general.toml")["question"]):
        item = _asked("general", number, question["ask"])
        yield {**item, "max_tokens": _GENERAL_TOKENS, "expect": {"contains": question["key"]}}


def _open() -> Iterator[Item]:
    for number, prompt in enumerate(_read("open.toml")["prompts"]):
        item = _asked("open", number, prompt)
        yield {**item, "max_tokens": _OPEN_TOKENS, "expect": {"loops": False}}


def _conversations() -> Iterator[Item]:
    for number, conversation in enumerate(_read("conversations.toml")["conversation"]):
        yield {**_asked(CONVERSATIONS, number, *conversation["turns"]), "max_tokens": _OPEN_TOKENS}


def _asked(row: str, number: int, *turns: str) -> Item:
    """Return an item without expectation; between the user's turns go the model's own answers."""
    messages = [{"role": "user", "content": turn} for turn in turns]
    return {"id": f"{row}-{number}", "row": row, "messages": messages, "expect": {}}


_BY_HAND: Mapping[str, Callable[[], Iterator[Item]]] = {
    "general": _general,
    "open": _open,
    CONVERSATIONS: _conversations,
}
