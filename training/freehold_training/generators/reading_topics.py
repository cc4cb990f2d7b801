"""Made-up texts whose facts are known: what they say, how it is asked, and what they leave out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Split
from freehold_training.pools.text_values import Filling, draw, fill, sentence

_FILE = Path(__file__).parents[1] / "pools" / "text_topics.txt"


@dataclass(frozen=True)
class Fact:
    """One thing that a text may say of its subject, in several wordings."""

    kind: str
    say: Sequence[str]
    ask: Sequence[str]
    tell: str
    unsaid: str


@dataclass
class Topic:
    """What texts of one sort are about."""

    name: str
    subject: str
    again: str
    article: str
    held_out: bool
    facts: list[Fact] = field(default_factory=list[Fact])
    filler: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Asked:
    """A question on a text; ``value`` is what the text says, or None where it says nothing."""

    question: str
    answer: str
    value: str | None


@dataclass(frozen=True)
class Passage:
    """A text on one subject, and the questions that it answers and does not answer.

    ``named`` is the subject as it stands inside a sentence.
    """

    subject: str
    named: str
    text: str
    told: Sequence[Asked]
    untold: Sequence[Asked]


def topics(split: Split) -> Sequence[Topic]:
    """Return the topics of the split; the two have none in common."""
    return [topic for topic in _topics() if topic.held_out == (split == "held_out")]


@cache
def _topics() -> Sequence[Topic]:
    found: list[Topic] = []
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("=="):
            name, subject, again, article = (cell.strip() for cell in line.lstrip("=* ").split("|"))
            found.append(Topic(name, subject, again, article, line.startswith("==*")))
        elif line.startswith(". "):
            found[-1].filler += _wordings(line[2:])
        elif line and not line.startswith("#"):
            found[-1].facts.append(_fact(line))
    return found


def _fact(line: str) -> Fact:
    kind, say, ask, tell, unsaid = (cell.strip() for cell in line.split("|"))
    return Fact(kind, _wordings(say), _wordings(ask), tell, unsaid)


def _wordings(cell: str) -> list[str]:
    return [wording.strip() for wording in cell.split(" ; ")]


def passage(random: Random, split: Split, topic: Topic | None = None) -> Passage:
    """Return a new text; what it leaves out could have been in it."""
    topic = topic or random.choice(topics(split))
    subject = fill(topic.subject, Filling(random, split))
    facts = random.sample(topic.facts, len(topic.facts))
    count = random.randint(3, len(facts) - 2)
    sentences: list[str] = []
    told: list[Asked] = []
    for fact in facts[:count]:
        value = draw(fact.kind, random, split)
        filling = _subject(topic, subject, random, split, first=not sentences)
        filling["v"] = value
        sentences.append(fill(random.choice(fact.say), filling))
        told.append(_told(fact, subject, value, random))
    text = _mixed(sentences, topic, random)
    untold = [_untold(fact, subject, random) for fact in facts[count:]]
    named = f"{topic.article} {subject}".strip()
    return Passage(subject, named, _opened(text, subject, random), told, untold)


def _subject(topic: Topic, subject: str, random: Random, split: Split, *, first: bool) -> Filling:
    full = f"{topic.article} {subject}".strip()
    again = full if first or random.random() < 0.4 else topic.again.format(s=subject)
    return Filling(random, split, s=subject, r=again)


def _told(fact: Fact, subject: str, value: str, random: Random) -> Asked:
    question = random.choice(fact.ask).format(s=subject)
    answer = fact.tell.format(s=subject, v=value)
    return Asked(question, sentence(answer), value)


def _untold(fact: Fact, subject: str, random: Random) -> Asked:
    question = random.choice(fact.ask).format(s=subject)
    says = "The text does not say" if random.random() < 0.75 else "The text doesn't say"
    return Asked(question, f"{says} {fact.unsaid.format(s=subject)}.", None)


def _mixed(sentences: list[str], topic: Topic, random: Random) -> str:
    """Return the sentences in order, others that tell nothing asked for between them."""
    fillers = random.sample(topic.filler, random.randint(1, len(topic.filler) - 1))
    mixed = list(sentences)
    for filler in fillers:
        mixed.insert(random.randint(1, len(mixed)), filler)
    return " ".join(mixed)


def _opened(text: str, subject: str, random: Random) -> str:
    """Return the text with its subject named, under a title at least where its sentences do not."""
    return text if subject in text and random.random() < 0.6 else f"{subject}\n{text}"
