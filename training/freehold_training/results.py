"""The file of an evaluation's answers: one JSON line each, added as they come, read to go on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from freehold_training.example import Item


class ResultsError(Exception):
    """The file holds something else; the message says what."""


@dataclass(frozen=True)
class Answered:
    """What a model said to one item, and the verdict; ``passed`` is None where nobody judges.

    ``digest`` is the item's: an item that was changed is asked again. ``answers`` are the model's
    messages in order; ``error`` is what the client or server said instead.
    """

    id: str
    row: str
    digest: str
    passed: bool | None
    right_tools: bool | None
    wrong: str
    answers: list[dict[str, Any]]
    error: str | None
    seconds: float


class Results:
    """The answers of one model in a file; the last line about an item counts."""

    def __init__(self, path: Path, model: str) -> None:
        """Read the file where there is one. Raises ``ResultsError`` if it is another model's."""
        self._path = path
        self.answers: dict[str, Answered] = {}
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"model": model})
            return
        found, self.answers = read(path)
        if found != model:
            raise ResultsError(f"{path} holds answers of {found}, not of {model}.")

    def lacks(self, item: Item) -> bool:
        """Return whether the item is still to be asked: never, in other words, or in vain."""
        found = self.answers.get(item["id"])
        return found is None or found.error is not None or found.digest != digest(item)

    def add(self, answered: Answered) -> None:
        """Write the answer down at once."""
        self.answers[answered.id] = answered
        self._append(asdict(answered))

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[str, dict[str, Answered]]:
    """Return the model and its answers by item. Raises ``ResultsError`` for any other file."""
    try:
        head, *lines = map(json.loads, path.read_text("utf-8").splitlines())
        answers = [Answered(**line) for line in lines]
        return head["model"], {answer.id: answer for answer in answers}
    except (ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"{path} holds no results of an evaluation: {error!r}") from error


def digest(item: Item) -> str:
    """Return what changes with the item."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Figure:
    """A line of the table: how many of ``total`` are right, with its 95 % interval (Wilson)."""

    row: str
    name: str
    right: int
    total: int
    errors: int

    @property
    def share(self) -> float:
        """The share of right ones, from 0 to 1."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The two shares between which the true one lies, 95 times in a hundred."""
        z, n, p = 1.96, self.total, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


# What a right answer of each row is, in the order of the table.
TITLES = {
    "tool_call": "all argument values exact",
    "tool_parallel": "several calls, all values exact",
    "tool_none": "no call when none is needed",
    "tool_result": "tool result used rightly",
    "json": "JSON values exact",
    "reading": "answer from a text",
    "reading_absent": "says when a text does not hold it",
    "memory": "name or fact from earlier",
    "general": "general questions",
    "open": "does not degenerate",
    "needle_0.5k": "fact in 500 tokens",
    "needle_1k": "fact in 1,000 tokens",
    "needle_2k": "fact in 2,000 tokens",
    "needle_4k": "fact in 4,000 tokens",
}
_TOOL_TITLES = {"tool_call": "right tool", "tool_parallel": "several calls, right tools"}


def figures(answers: Iterable[Answered]) -> list[Figure]:
    """Return the lines of the table; a row with expected calls has a second one for the tools."""
    found = list(answers)
    lines: list[Figure] = []
    for row, title in TITLES.items():
        these = [answer for answer in found if answer.row == row]
        if these and row in _TOOL_TITLES:
            lines.append(
                _figure(row, _TOOL_TITLES[row], [bool(a.right_tools) for a in these], these)
            )
        if these:
            lines.append(_figure(row, title, [bool(a.passed) for a in these], these))
    return lines


def _figure(row: str, title: str, right: list[bool], answers: list[Answered]) -> Figure:
    errors = sum(answer.error is not None for answer in answers)
    return Figure(row, title, sum(right), len(answers), errors)
