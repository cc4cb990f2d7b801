"""Published texts with questions: stories, countries, textbooks."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from freehold_training.corpus import FOLDER, rows
from freehold_training.example import Split, part
from freehold_training.generators.reading_stories import story_answer
from freehold_training.generators.reading_texts import Asked, Passage

# A term and the sentence of a textbook that says what it is.
_DEFINITION = re.compile(
    r"(?:(?<=\. )|(?<=^))((An?) ([a-z][a-z -]{2,30}) (?:is|are) (?:an?|the) [^.\n()]{20,140}\.)"
)
_SENTENCE = re.compile(r"(?<=[a-z]{2}\.) (?=[A-Z])")
# What a textbook counts up, rather than a term of its own.
_COUNTED = re.compile(r"\b(?:second|third|final|last|further|that|this|possible)\b")
_WORD = re.compile(r"[a-z]{4,}")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")
# Sentences that were joined by mistake when the page was read.
_GLUED = re.compile(r"[a-z][.!?,]\"?[A-Z]")
_STORY_WORDS = 260
# How often each source is taken, where it is at hand.
_WEIGHTS: Mapping[str, int] = {"fairytale": 90, "factbook": 6, "openstax": 4}
_PLAIN = (
    "The text does not say.",
    "The text does not say that.",
    "The text doesn't say.",
    "The text does not answer this question.",
)
# Fields of a country's record: what the text says, the question, the answer, what is unsaid.
_FIELDS: Mapping[str, Sequence[str]] = {
    "capital": (
        "The capital is {v}.",
        "What is the capital of {s}?",
        "The capital of {s} is {v}.",
        "what the capital of {s} is",
    ),
    "location": (
        "It lies in {v}.",
        "Where does {s} lie?",
        "{s} lies in {v}.",
        "where {s} lies",
    ),
    "population": (
        "The population is {v}.",
        "How many people live in {s}?",
        "The population of {s} is {v}.",
        "how many people live in {s}",
    ),
    "area": (
        "The area is {v}.",
        "How large is {s}?",
        "The area of {s} is {v}.",
        "how large {s} is",
    ),
    "climate": (
        "The climate is {v}.",
        "What is the climate of {s} like?",
        "The climate is {v}.",
        "what the climate of {s} is like",
    ),
    "gov": (
        "The form of government is: {v}.",
        "What is the form of government of {s}?",
        "The form of government is: {v}.",
        "how {s} is governed",
    ),
}


def published(random: Random, split: Split) -> tuple[str, Passage] | None:
    """Return a source's name and a passage of it, or None where none is at hand."""
    found = [(name, make) for name, make in _MAKERS.items() if rows(name)]
    if not found:
        return None
    weights = [_WEIGHTS[name] for name, _ in found]
    name, make = random.choices(found, weights)[0]
    return name, make(random, split)


@dataclass(frozen=True)
class _Stories:
    """Passages with their questions, their weights, and questions by the names in them."""

    passages: Sequence[tuple[str, Sequence[Asked]]]
    weights: Sequence[int]
    named: Mapping[str, Sequence[Asked]]


@cache
def _stories(folder: str, split: Split) -> _Stories:
    """Return the stories whose answers are in the words of the passage."""
    del folder
    told: dict[str, list[Asked]] = {}
    for row in rows("fairytale"):
        question, answer = (message["content"] for message in row["messages"])
        text, _, question = question.rpartition("\n\nQuestion: ")
        if _in(answer, text) and len(text.split()) <= _STORY_WORDS and not _GLUED.search(text):
            asked = Asked(question, story_answer(question, answer), answer)
            told.setdefault(_plain(text), []).append(asked)
    passages = [(text, told[text]) for text in part(told, split)]
    named: dict[str, list[Asked]] = {}
    for asked in (asked for _, questions in passages for asked in questions):
        for name in _names(asked.question):
            named.setdefault(name, []).append(asked)
    return _Stories(passages, [min(len(told[text]), 6) for text, _ in passages], named)


def _story(random: Random, split: Split) -> Passage:
    stories = _stories(os.environ[FOLDER], split)
    text, told = random.choices(stories.passages, stories.weights)[0]
    known = {asked.question for asked in told}
    near = [
        asked
        for name in sorted(_names(text))
        for asked in stories.named.get(name, ())
        if asked.question not in known and _elsewhere(asked, text)
    ]
    far = [one for _, others in random.sample(stories.passages, 6) for one in others[:1]]
    others = near or [asked for asked in far if _apart(asked.question, text)]
    chosen = random.sample(others, min(2, len(others)))
    untold = [Asked(asked.question, random.choice(_PLAIN), None) for asked in chosen]
    return Passage("story", "the story", text, told, untold)


def _elsewhere(asked: Asked, text: str) -> bool:
    """Return whether neither the question's matter nor its answer is in the text."""
    answer = _words(asked.value or "")
    matter = _words(asked.question) - _ASKING - {name.lower() for name in _names(asked.question)}
    found = _words(text)
    return (
        len(matter) > 1
        and len(matter & found) <= 0.34 * len(matter)
        and len(answer & found) <= 0.34 * len(answer)
    )


def _names(text: str) -> set[str]:
    """Return the words with a capital that begin no sentence."""
    return set(_NAME.findall(text))


def _country(random: Random, split: Split) -> Passage:
    record = random.choice(_records(os.environ[FOLDER], split))
    known = [name for name in _FIELDS if name in dict(record)]
    values = dict(record)
    said = random.sample(known, max(1, len(known) - 2))
    country = values["country"]
    background = _SENTENCE.split(values.get("background", ""))[: random.randint(1, 4)]
    sentences = [_FIELDS[name][0].format(v=values[name]) for name in said]
    text = f"{country}\n{' '.join(sentences)} {' '.join(background)}"
    told = [_field(name, country, values[name]) for name in said]
    untold = [
        _field(name, country, None)
        for name in known
        if name not in said and values[name] not in text
    ]
    return Passage(country, country, text, told, untold)


@cache
def _records(folder: str, split: Split) -> Sequence[tuple[tuple[str, str], ...]]:
    del folder
    records = [_record(row) for row in rows("factbook")]
    telling = [one for one in records if len(_FIELDS.keys() & dict(one).keys()) > 1]
    return part(telling, split)


def _record(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the short fields of a country's record; names in capitals are written as usual."""
    short = {name: text for name, text in row["rec"].items() if text}
    short["population"] = re.sub(r" \(.*", "", short.get("population", ""))
    short["area"] = short.get("area", "").split(" ;")[0]
    kept = {
        name: re.sub(r"\b([A-Z])([A-Z]{3,})\b", lambda m: m[1] + m[2].lower(), text)
        for name, text in short.items()
        if text and (len(text) < 110 or name == "background")
    }
    return tuple(kept.items())


def _field(name: str, country: str, value: str | None) -> Asked:
    _, ask, tell, unsaid = _FIELDS[name]
    question = ask.format(s=country)
    if value is None:
        return Asked(question, f"The text does not say {unsaid.format(s=country)}.", None)
    return Asked(question, tell.format(s=country, v=value), value)


@cache
def _terms(folder: str, split: Split) -> Sequence[tuple[str, str, str]]:
    """Return paragraphs of textbooks that say what a term is: paragraph, term, sentence."""
    del folder
    found: dict[str, tuple[str, str, str]] = {}
    for row in rows("openstax"):
        for paragraph in row["text"].split("\n\n"):
            if 45 <= len(paragraph.split()) <= 170 and (match := _DEFINITION.search(paragraph)):
                if _COUNTED.search(match[3]):
                    continue
                found[match[3]] = (paragraph, f"{match[2].lower()} {match[3]}", match[1])
    return [found[term] for term in part(found, split)]


def _textbook(random: Random, split: Split) -> Passage:
    terms = _terms(os.environ[FOLDER], split)
    text, term, sentence = random.choice(terms)
    untold = [
        Asked(f"What is {other}?", f"The text does not say what {other} is.", None)
        for _, other, _ in random.sample(terms, 4)
        if _apart(other, text)
    ]
    told = [Asked(f"What is {term}?", sentence, sentence)]
    return Passage(term, term, text, told, untold)


_MAKERS: Mapping[str, Callable[[Random, Split], Passage]] = {
    "fairytale": _story,
    "factbook": _country,
    "openstax": _textbook,
}


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _in(answer: str, text: str) -> bool:
    """Return whether nearly all of the answer's longer words stand in the text."""
    words = _words(answer)
    return bool(words) and len(words & _words(text)) >= 0.8 * len(words)


def _apart(question: str, text: str) -> bool:
    """Return whether the text shares next to nothing with a question on another one."""
    words = _words(question) - _ASKING
    return bool(words) and len(words & _words(text)) <= 0.3 * len(words)


_ASKING = {"what", "when", "where", "which", "whose", "happened", "after", "before", "that", "with"}


def _plain(text: str) -> str:
    """Return a passage without the line breaks of its printed page."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip().strip('"')
