"""Facts from published sources: what words mean, capitals, shell commands."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from freehold_training.corpus import FOLDER, rows
from freehold_training.example import Split, part
from freehold_training.generators.chat_frame import Exchange

_ASK_WORD = (
    'What does "{a}" mean?',
    "What does {a} mean?",
    "Define {a}.",
    'Explain the word "{a}".',
    "Meaning of {a}?",
)
_ASK_CAPITAL = (
    "What is the capital of {a}?",
    "Capital of {a}?",
    "Tell me the capital of {a}.",
    "What's the capital city of {a}?",
)
# Words of these sorts are worth asking for: no plants, beasts and chemicals by their learned names.
_SORTS = ("noun.artifact", "noun.person", "noun.feeling", "verb.", "adj.all")


def fact(random: Random, split: Split) -> tuple[str, Exchange] | None:
    """Return a source's name and an exchange on it, or None where no source is at hand."""
    found = [(name, make) for name, make in _MAKERS.items() if rows(name)]
    if not found:
        return None
    name, make = random.choice(found)
    return name, make(random, split)


@cache
def _definitions(folder: str, split: Split) -> Sequence[tuple[str, str, str]]:
    """Return common words with one meaning: word, part of speech, definition."""
    del folder
    meant: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows("wordnet"):
        meant.setdefault(row["word"], []).append(row)
    single = [found[0] for found in meant.values() if len(found) == 1 and _common(found[0])]
    return part([(row["word"], row["pos"], row["def"]) for row in single], split)


def _common(row: Mapping[str, Any]) -> bool:
    """Return whether a word is worth asking for, and its meaning plainly told."""
    word, meaning = str(row["word"]), str(row["def"])
    known = row["ex"] or row["syn"]
    plain = re.fullmatch(r"[a-z]{4,9}", word) and not re.search(r"[(;]", meaning)
    return bool(known and plain and len(meaning) < 70 and str(row["lex"]).startswith(_SORTS))


def _definition(random: Random, split: Split) -> Exchange:
    word, kind, meaning = random.choice(_definitions(os.environ[FOLDER], split))
    question = random.choice(_ASK_WORD).format(a=word)
    if kind == "verb":
        return question, f"To {word} means to {meaning}."
    if kind == "noun" and re.match(r"(?:an?|someone|something) ", meaning):
        article = "An" if word[0] in "aeiou" else "A"
        return question, f"{article} {word} is {meaning}."
    return question, f'"{word.capitalize()}" means: {meaning}.'


@cache
def _capitals(folder: str, split: Split) -> Sequence[tuple[str, str]]:
    del folder
    pairs = [(row["rec"]["country"], row["rec"]["capital"]) for row in rows("factbook")]
    named = [pair for pair in pairs if pair[1] and re.fullmatch(r"[\w' -]{3,25}", pair[1])]
    return part(named, split)


def _capital(random: Random, split: Split) -> Exchange:
    country, capital = random.choice(_capitals(os.environ[FOLDER], split))
    question = random.choice(_ASK_CAPITAL).format(a=country)
    return question, f"The capital of {country} is {capital}."


@cache
def _commands(folder: str, split: Split) -> Sequence[tuple[str, str]]:
    """Return requests for the commands that people know, with the command."""
    del folder
    told = (tuple(message["content"] for message in row["messages"]) for row in rows("tldr"))
    known = [
        (question, answer)
        for question, answer in told
        if re.match(
            r"`(?:ls|cp|mv|rm|cat|grep|find|tar|git|curl|mkdir|chmod|head|tail|sort|wc|du|df|"
            r"ps|kill|ssh|scp|zip|unzip|touch|echo|pwd|docker|pip|wget|sed|diff) ",
            answer,
        )
        and len(answer) < 60
    ]
    return part(known, split)


def _command(random: Random, split: Split) -> Exchange:
    return random.choice(_commands(os.environ[FOLDER], split))


_MAKERS: Mapping[str, Callable[[Random, Split], Exchange]] = {
    "wordnet": _definition,
    "factbook": _capital,
    "tldr": _command,
}
