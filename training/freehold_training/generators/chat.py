"""Short talk: instructions, facts, greetings, and what the assistant is and does not know."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_facts import fact
from freehold_training.generators.chat_follow import follow_up
from freehold_training.generators.chat_frame import LONGEST, Exchange, length, opening, spoken
from freehold_training.generators.chat_judged import judged
from freehold_training.generators.chat_talk import explanation, talk
from freehold_training.generators.chat_tasks import exchange


def _chat(random: Random, split: Split) -> Iterator[Example]:
    while True:
        said = [_said(random, split) for _ in range(random.choices((1, 2, 3), (30, 40, 30))[0])]
        exchanges = [exchange for _, several in said for exchange in several]
        messages = [*opening(random, split), *spoken(exchanges)]
        source = "+".join(sorted({source for source, _ in said}))
        example: Example = {"row": "chat", "source": source, "messages": messages}
        if length(example) <= LONGEST and len(set(exchanges)) == len(exchanges):
            yield example


def _said(random: Random, split: Split) -> tuple[str, Sequence[Exchange]]:
    """Return where exchanges come from, and the exchanges: none that models are judged by."""
    while True:
        source, exchanges = _any(random, split)
        if not any(judged(question) for question, _ in exchanges):
            return source, exchanges


def _any(random: Random, split: Split) -> tuple[str, Sequence[Exchange]]:
    kind = random.choices(_KINDS, (25, 25, 25, 13, 12))[0]
    if kind == "follow":
        return "own", follow_up(random, split)
    if kind == "fact" and (found := fact(random, split)):
        return found[0], [found[1]]
    makers = {"talk": talk, "explanation": explanation}
    return "own", [makers.get(kind, exchange)(random, split)]


_KINDS = ("task", "talk", "explanation", "follow", "fact")
GENERATORS = {"chat": _chat}
ITEMS: dict[str, Callable[[Random], Iterator[Item]]] = {}
