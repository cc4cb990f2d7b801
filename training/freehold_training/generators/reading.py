"""Answers from a text that is given: short and exact, or that the text does not say it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_frame import LONGEST, accepted, length, numbered
from freehold_training.generators.reading_corpus import published
from freehold_training.generators.reading_layouts import answered, laid_out
from freehold_training.generators.reading_texts import Asked, Passage, passage
from freehold_training.generators.reading_topics import topics

_PUBLISHED = 0.35
_UNSAID, _UNSAID_AGAIN = 0.1, 0.02
_LONG = 1 / 6
_TWO = 0.08
# Words of a question that is a label only.
_BRIEF = 3
# Most facts of a text: of several texts, each is short.
_FACTS = {1: 12, 2: 8, 3: 8, 4: 9}


def _reading(random: Random, split: Split) -> Iterator[Example]:
    while True:
        source, passages = _given(random, split)
        asked = _questions(passages, random, random.choice([3, 4, 4, 5, 5, 6]))
        if not asked:
            continue
        messages = laid_out(passages, [one.question for one in asked], random, split)
        example: Example = {
            "row": "reading",
            "source": source,
            "messages": answered(messages, asked),
        }
        if length(example) <= LONGEST:
            yield example


def _given(random: Random, split: Split) -> tuple[str, list[Passage]]:
    """Return where the texts come from, and the texts."""
    if random.random() < _PUBLISHED and (found := published(random, split)):
        source, one = found
        return source, [one]
    count = random.choice([3, 4]) if random.random() < _LONG else random.choice([1, 1, 1, 2])
    passages = _passages(random, split, count)
    if random.random() < 0.06:
        passages[0] = _with_stranger(passages[0], random, split)
    return "own", passages


def _with_stranger(one: Passage, random: Random, split: Split) -> Passage:
    """Return the passage with a question on something that it does not even name."""
    other = passage(random, split)
    question = random.choice(other.untold).question
    asked = Asked(question, f"The text does not mention {other.named}.", None)
    return replace(one, untold=[asked])


def _passages(random: Random, split: Split, count: int) -> list[Passage]:
    """Return texts, half of the time on the same sort of thing: what one says, another may not."""
    topic = random.choice(topics(split)) if random.random() < 0.5 else None
    return [passage(random, split, topic, _FACTS[count]) for _ in range(count)]


def _questions(passages: Sequence[Passage], random: Random, count: int) -> list[Asked]:
    """Return questions that the texts answer, and about one in ten that they do not."""
    told = _shuffled([asked for one in passages for asked in one.told], random)
    untold = _shuffled([asked for one in passages for asked in one.untold], random)
    alone = len(passages) == 1
    chosen: list[Asked] = []
    while told and len(chosen) < count:
        again = bool(chosen) and chosen[-1].value is None
        unsaid = random.random() < (_UNSAID_AGAIN if again else _UNSAID)
        asked = untold.pop() if unsaid and untold else told.pop()
        if alone and chosen and random.random() < 0.45:
            asked = _later(asked, random)
        if asked.value and told and random.random() < _TWO:
            asked = _both(asked, told.pop(), alone=alone)
        chosen.append(asked)
    return chosen


def _shuffled(asked: Sequence[Asked], random: Random) -> list[Asked]:
    return random.sample(asked, len(asked))


def _both(one: Asked, two: Asked, *, alone: bool) -> Asked:
    """Return two questions as one, to be answered with both answers, where that can be said."""
    if len(one.question.split()) <= _BRIEF or len(two.later.split()) <= _BRIEF:
        return one
    other = _small(two.later if alone else two.question)
    question = f"{one.question.removesuffix('?')}, and {other}"
    return replace(
        one, question=question, answer=f"{_sentence(one.answer)} {_sentence(two.answer)}"
    )


def _sentence(answer: str) -> str:
    return answer if answer.endswith((".", "!", "?")) else f"{answer}."


def _later(asked: Asked, random: Random) -> Asked:
    """Return the question as it is asked when its subject is known."""
    if not asked.later:
        return asked
    question = f"And {_small(asked.later)}" if random.random() < 0.15 else asked.later
    return replace(asked, question=question)


def _small(question: str) -> str:
    return question[:1].lower() + question[1:]


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
