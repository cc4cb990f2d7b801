"""Small talk, what the assistant is and cannot know, and answers in a few plain sentences."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Split, part
from freehold_training.generators.chat_frame import Exchange

_POOLS = Path(__file__).parents[1] / "pools"


def talk(random: Random, split: Split) -> Exchange:
    """Return something that people say to an assistant, and what it answers."""
    questions, answers = random.choice(_talk(split))
    return random.choice(questions), random.choice(answers)


def explanation(random: Random, split: Split) -> Exchange:
    """Return a question or a wish that takes a few sentences, and these."""
    return random.choice(_explanations(split))


@cache
def _talk(split: Split) -> Sequence[tuple[Sequence[str], Sequence[str]]]:
    rows = [tuple(cell.split(" ; ") for cell in row) for row in _rows("text_talk.txt")]
    kept = [(part(questions, split), answers) for questions, answers in rows]
    return [(questions, answers) for questions, answers in kept if questions]


@cache
def _explanations(split: Split) -> Sequence[Exchange]:
    files = ("text_explain.txt", "text_general.txt")
    pairs = [(question, answer) for name in files for question, answer in _rows(name)]
    return part([(question, answer.replace("\\n", "\n")) for question, answer in pairs], split)


def _rows(name: str) -> Sequence[Sequence[str]]:
    lines = (_POOLS / name).read_text("utf-8").splitlines()
    return [line.split(" | ") for line in lines if not line.startswith("#")]
