"""What made-up texts are about: subjects, and facts with their sentences, questions and answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Split
from freehold_training.pools.text_values import Filling, draw

_POOLS = Path(__file__).parents[1] / "pools"
_FILES = "text_topics*.txt"
_PERSON = "@person"
# By their sound; the others are called by their names only.
_SHE, _HE = "a", "o"
_ENDING_OTHERWISE = ("Keiko", "Noa", "Luca")


@dataclass(frozen=True)
class Fact:
    """One thing that a text may say of its subject, in several wordings.

    ``ask`` holds the open questions, ``check`` those which name a value {w} that may be wrong;
    ``tell`` begins with a whole sentence and may end with the bare words; ``key`` is its label.
    """

    kind: str
    say: Sequence[str]
    ask: Sequence[str]
    check: Sequence[str]
    tell: Sequence[str]
    unsaid: str
    key: str


@dataclass
class Topic:
    """What texts of one sort are about; ``groups`` name further facts that they share."""

    name: str
    subjects: Sequence[str]
    again: Sequence[str]
    article: str
    groups: Sequence[str]
    held_out: bool
    facts: list[Fact] = field(default_factory=list[Fact])
    filler: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Subject:
    """What one text is about: its name, how it stands in a sentence, and what it is called again.

    ``pronoun`` is empty where none fits.
    """

    name: str
    full: str
    again: str
    pronoun: str
    relative: str


def topics(split: Split) -> Sequence[Topic]:
    """Return the topics of the split; the two have none in common."""
    return [topic for topic in _topics() if topic.held_out == (split == "held_out")]


@cache
def _topics() -> Sequence[Topic]:
    read = list(_read())
    groups = {topic.name: topic for topic in read if topic.name.startswith("@")}
    found = [topic for topic in read if topic.name not in groups]
    for topic in found:
        for group in topic.groups:
            topic.facts += groups[group].facts
            topic.filler += groups[group].filler
    return found


def _read() -> Iterator[Topic]:
    topic: Topic | None = None
    for line in _lines():
        if line.startswith("=="):
            if topic:
                yield topic
            topic = _topic(line)
        elif topic and line.startswith(". "):
            topic.filler += _wordings(line[2:])
        elif topic:
            topic.facts.append(_fact(line))
    if topic:
        yield topic


def _lines() -> Iterator[str]:
    for file in sorted(_POOLS.glob(_FILES)):
        for line in file.read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                yield line


def _topic(line: str) -> Topic:
    cells = [cell.strip() for cell in line.lstrip("=* ").split("|")]
    name, subjects, again, article, groups = [*cells, "", "", "", ""][:5]
    held_out = line.startswith("==*")
    return Topic(name, _wordings(subjects), _wordings(again), article, _wordings(groups), held_out)


def _fact(line: str) -> Fact:
    cells = [cell.strip() for cell in line.split("|")]
    kind, say, ask, tell, unsaid, key = [*cells, ""][:6]
    asked = _wordings(ask)
    return Fact(
        kind,
        _wordings(say),
        [one for one in asked if "{w}" not in one],
        [one for one in asked if "{w}" in one],
        _wordings(tell),
        unsaid,
        key,
    )


def _wordings(cell: str) -> list[str]:
    return [wording.strip() for wording in cell.split(" ; ")] if cell else []


def subject_of(topic: Topic, random: Random, split: Split) -> Subject:
    """Return a new subject for a text of the topic."""
    name = random.choice(topic.subjects).format_map(Filling(random, split))
    full = f"{topic.article} {name}".strip()
    if topic.again == [_PERSON]:
        return _person(name, random)
    plain = [one for one in topic.again if one not in ("it", "they", "she")]
    again = random.choice(plain).format(s=full)
    pronoun = next((one for one in topic.again if one not in plain), "")
    return Subject(name, full, again, pronoun, "which")


def _person(name: str, random: Random) -> Subject:
    first, last = name.split(" ", 1)
    ending = "" if first in _ENDING_OTHERWISE else first[-1]
    pronoun = {_SHE: "she", _HE: "he"}.get(ending, "")
    return Subject(name, name, random.choice([first, last]), pronoun, "who")


def value_of(kind: str, random: Random, split: Split) -> str:
    """Draw a value: of a kind of ``text_values``, or one of those listed (``=one/other``)."""
    if kind.startswith("="):
        return random.choice(kind[1:].split("/"))
    return draw(kind, random, split)


_KIN: Mapping[str, str] = {
    kind: first
    for first, *others in (
        ("year", "date", "whole_date", "month", "day", "iso"),
        ("person", "first", "last", "company"),
        ("price", "fee", "money"),
        ("count", "small", "thousands", "percent", "age"),
        ("town", "city", "country", "address", "word"),
        ("clock",),
        ("phone", "email", "code", "pin"),
    )
    for kind in (first, *others)
}


def kin(fact: Fact) -> str:
    """Return the class of a fact's values: facts of one class are easily mistaken."""
    return _KIN.get(fact.kind, "other")
