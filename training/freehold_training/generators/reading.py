"""Answers from a text that is given: short and exact, or that the text does not say it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_frame import LONGEST, accepted, length, numbered
from freehold_training.generators.reading_corpus import published
from freehold_training.generators.reading_layouts import laid_out
from freehold_training.generators.reading_topics import Asked, Passage, passage, topics


def _reading(random: Random, split: Split) -> Iterator[Example]:
    while True:
        source, passages = _given(random, split)
        asked = _questions(passages, random, random.choice([2, 3, 4, 5, 6]))
        if not asked:
            continue
        messages = laid_out(passages, [one.question for one in asked], random, split)
        example: Example = {"row": "reading", "source": source, "messages": _told(messages, asked)}
        if length(example) <= LONGEST:
            yield example


def _given(random: Random, split: Split) -> tuple[str, list[Passage]]:
    """Return where the texts come from, and the texts."""
    if random.random() < 0.3 and (found := published(random, split)):
        source, one = found
        return source, [one]
    passages = _passages(random, split, random.choice([1, 1, 2, 2, 3, 3]))
    if random.random() < 0.2:
        passages[0] = _with_stranger(passages[0], random, split)
    return "own", passages


def _with_stranger(one: Passage, random: Random, split: Split) -> Passage:
    """Return the passage with a question on something that it does not even name."""
    other = passage(random, split)
    question = random.choice([*other.told, *other.untold]).question
    asked = Asked(question, f"The text does not mention {other.named}.", None)
    return replace(one, untold=[*one.untold, asked])


def _told(messages: Sequence[dict[str, Any]], asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return the messages with the answers in the assistant's turns."""
    answers = iter(asked)
    return [
        {**message, "content": next(answers).answer} if message["role"] == "assistant" else message
        for message in messages
    ]


def _passages(random: Random, split: Split, count: int) -> list[Passage]:
    topic = random.choice(topics(split)) if random.random() < 0.3 else None
    return [passage(random, split, topic) for _ in range(count)]


def _questions(passages: Sequence[Passage], random: Random, count: int) -> list[Asked]:
    """Return questions that the texts answer, and about one in four that they do not."""
    told = [asked for one in passages for asked in one.told]
    untold = [asked for one in passages for asked in one.untold]
    absent = sum(random.random() < 0.25 for _ in range(count))
    chosen = random.sample(told, min(count - absent, len(told)))
    chosen += random.sample(untold, min(absent, len(untold)))
    return random.sample(chosen, len(chosen))


def _item(*, told: bool) -> Callable[[Random], Item]:
    def make(random: Random) -> Item:
        passages = _long(random)
        pool = [asked for one in passages for asked in (one.told if told else one.untold)]
        asked = random.choice(pool)
        messages = laid_out(passages, [asked.question], random, "held_out")[:-1]
        expect = (
            {"declines": True} if asked.value is None else {"contains": [accepted(asked.value)]}
        )
        return {"id": "", "row": "", "messages": messages, "expect": expect}

    return make


def _long(random: Random) -> list[Passage]:
    """Return texts of 150 words together at least."""
    wanted = random.choice([150, 150, 200, 250, 350, 450])
    passages: list[Passage] = []
    while sum(len(one.text.split()) for one in passages) < wanted:
        passages.append(passage(random, "held_out"))
    return passages


def _items(row: str, *, told: bool) -> Callable[[Random], Iterator[Item]]:
    return lambda random: numbered(row, _item(told=told), random)


GENERATORS = {"reading": _reading}
ITEMS = {
    "reading": _items("reading", told=True),
    "reading_absent": _items("reading_absent", told=False),
}
