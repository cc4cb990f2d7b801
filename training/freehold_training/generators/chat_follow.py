"""Questions that are understood only from the turn before: the next word, the list once more."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Split, part
from freehold_training.generators.chat_frame import Exchange
from freehold_training.generators.chat_tasks import translations, word_list
from freehold_training.pools.text_values import sentence

_POOLS = Path(__file__).parents[1] / "pools"
_ASK_SHORTER = (
    'Shorten this: "{a}"',
    "Make this shorter: {a}",
    "Say this in fewer words: {a}",
    "Can you shorten this sentence? {a}",
)


def follow_up(random: Random, split: Split) -> Sequence[Exchange]:
    """Return two or three exchanges of which the later ones lean on the first."""
    return random.choice(_MAKERS)(random, split)


def _translated(random: Random, split: Split) -> Sequence[Exchange]:
    word, said = random.choice(translations(split))
    languages = random.sample(list(said), random.randint(2, 3))
    asks = ['How do you say "{a}" in {b}?', *["And in {b}?"] * (len(languages) - 1)]
    return [
        (
            ask.format(a=word, b=language),
            f'"{word.capitalize()}" in {language} is "{said[language]}".',
        )
        for ask, language in zip(asks, languages, strict=True)
    ]


def _sums(random: Random, _split: Split) -> Sequence[Exchange]:
    a, b, c = (random.randint(11, 40) for _ in range(3))
    first = (f"What is {a} + {b}?", f"{a} + {b} is {a + b}.")
    if random.random() < 0.5:
        return [first, (f"Add {c} to that.", f"{a + b} + {c} is {a + b + c}.")]
    small = random.randint(1, 10)
    return [first, (f"Now take away {small}.", f"{a + b} - {small} is {a + b - small}.")]


def _reordered(random: Random, split: Split) -> Sequence[Exchange]:
    words = word_list(random, split, random.randint(3, 5))
    ordered = sorted(words)
    later = {
        "Now the other way round.": ", ".join(reversed(ordered)),
        "Write that as a numbered list.": "\n".join(
            f"{number}. {word}" for number, word in enumerate(ordered, 1)
        ),
        "Make it a bullet list.": "\n".join(f"- {word}" for word in ordered),
        "In capital letters, please.": ", ".join(ordered).upper(),
        "Which one comes first?": f"{ordered[0].capitalize()} comes first.",
        "Which one is last?": f"{ordered[-1].capitalize()} is last.",
    }
    first = (f"Sort alphabetically: {', '.join(words)}", ", ".join(ordered))
    return [first, *random.sample(list(later.items()), 1)]


def _shorter(random: Random, split: Split) -> Sequence[Exchange]:
    sentence, short = random.choice(_sentences(split))
    return [(random.choice(_ASK_SHORTER).format(a=sentence), short)]


@cache
def _sentences(split: Split) -> Sequence[Exchange]:
    rows = [
        line.split(" | ")
        for line in (_POOLS / "text_shorten.txt").read_text("utf-8").splitlines()[1:]
    ]
    return part([(sentence, short) for sentence, short in rows], split)


def _alike(random: Random, split: Split) -> Sequence[Exchange]:
    ask, again, answer, pairs = random.choice(_kinds(split))
    chosen = random.sample(pairs, random.randint(2, min(4, len(pairs))))
    asks = [ask, *(random.choice(again) for _ in chosen[1:])]
    return [
        (form.format(a=about), sentence(answer.format(a=about, b=told)))
        for form, (about, told) in zip(asks, chosen, strict=True)
    ]


@cache
def _kinds(split: Split) -> Sequence[tuple[str, Sequence[str], str, Sequence[tuple[str, str]]]]:
    """Return questions of one kind: the first, the later ones, the answer, and what is known."""
    lines = (_POOLS / "text_follow.txt").read_text("utf-8").splitlines()
    found: list[tuple[str, Sequence[str], str, Sequence[tuple[str, str]]]] = []
    for line in lines[1:]:
        ask, again, answer, known = line.split(" | ")
        pairs = part([_pair(one) for one in known.split(" ; ")], split)
        if len(pairs) > 1:
            found.append((ask, again.split(" ; "), answer, pairs))
    return found


def _pair(text: str) -> tuple[str, str]:
    about, told = text.split(" = ")
    return about, told


_MAKERS: Sequence[Callable[[Random, Split], Sequence[Exchange]]] = (
    _translated,
    _sums,
    _reordered,
    _shorter,
    _alike,
    _alike,
)
