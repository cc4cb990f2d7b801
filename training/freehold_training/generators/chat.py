"""Short talk: instructions, facts, greetings, and what the assistant is and does not know."""

from collections.abc import Callable, Iterator
from random import Random

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_frame import LONGEST, length, opening, spoken
from freehold_training.generators.chat_tasks import exchange


def _chat(random: Random, split: Split) -> Iterator[Example]:
    while True:
        turns = random.choices((1, 2, 3, 4), (25, 30, 25, 20))[0]
        exchanges = [exchange(random, split) for _ in range(turns)]
        messages = [*opening(random, split), *spoken(exchanges)]
        example: Example = {"row": "chat", "source": "own", "messages": messages}
        if length(example) <= LONGEST:
            yield example


GENERATORS = {"chat": _chat}
ITEMS: dict[str, Callable[[Random], Iterator[Item]]] = {}
