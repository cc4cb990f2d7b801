"""Short talk: instructions, facts, greetings, and what the assistant is and does not know."""

from collections.abc import Callable, Iterator
from random import Random

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_facts import fact
from freehold_training.generators.chat_frame import LONGEST, Exchange, length, opening, spoken
from freehold_training.generators.chat_judged import judged
from freehold_training.generators.chat_talk import explanation, talk
from freehold_training.generators.chat_tasks import exchange


def _chat(random: Random, split: Split) -> Iterator[Example]:
    while True:
        turns = random.choices((1, 2, 3, 4), (20, 30, 30, 20))[0]
        said = [_said(random, split) for _ in range(turns)]
        messages = [*opening(random, split), *spoken([one for _, one in said])]
        source = "+".join(sorted({source for source, _ in said}))
        example: Example = {"row": "chat", "source": source, "messages": messages}
        if length(example) <= LONGEST and len({one for _, one in said}) == turns:
            yield example


def _said(random: Random, split: Split) -> tuple[str, Exchange]:
    """Return where an exchange comes from, and the exchange: none that models are judged by."""
    while True:
        source, one = _any(random, split)
        if not judged(one[0]):
            return source, one


def _any(random: Random, split: Split) -> tuple[str, Exchange]:
    kind = random.choices(("task", "talk", "explanation", "fact"), (35, 30, 10, 25))[0]
    if kind == "fact" and (found := fact(random, split)):
        return found
    makers = {"talk": talk, "explanation": explanation}
    return "own", makers.get(kind, exchange)(random, split)


GENERATORS = {"chat": _chat}
ITEMS: dict[str, Callable[[Random], Iterator[Item]]] = {}
