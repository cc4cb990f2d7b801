"""What the user told earlier in the chat, asked later: names, facts, corrections, and gaps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_frame import (
    LONGEST,
    Exchange,
    accepted,
    length,
    numbered,
    opening,
    spoken,
)
from freehold_training.generators.chat_tasks import exchange
from freehold_training.pools.text_values import draw, sentence

_FILE = Path(__file__).parents[1] / "pools" / "text_memory.txt"
_NODS = {
    "train": (
        "Thanks for telling me.",
        "Good to know.",
        "Got it.",
        "Noted.",
        "Thank you, I'll remember that.",
        "All right.",
    ),
    "held_out": ("I see.", "Thank you for letting me know."),
}

_SUMMARIES = {
    "train": (
        "What do you know about me?",
        "What have I told you about myself?",
        "Sum up what I have told you about myself.",
        "Repeat what I said about myself.",
        "Which things have I told you about me?",
    ),
    "held_out": ("List what you have learnt about me.", "Recall everything I said of myself."),
}
_FRIENDS = {
    "train": ("My friend", "My neighbour", "My boss", "My cousin", "My teacher"),
    "held_out": ("My colleague", "My flatmate"),
}
# What is told of somebody else, by the kind of value.
_OF_FRIENDS = {
    "last": "has the last name {v}.",
    "city": "lives in {v}.",
    "job": "works as a {v}.",
    "colour": "likes {v} best.",
    "food": "loves {v}.",
    "animal": "has a {v}.",
    "hobby": "likes {v}.",
    "age": "is {v} years old.",
    "date": "has a birthday on {v}.",
    "company": "works for {v}.",
    "instrument": "plays the {v}.",
    "country": "comes from {v}.",
    "language": "is learning {v}.",
}


@dataclass(frozen=True)
class Thing:
    """Something that users tell of themselves, in the wordings of one split."""

    kind: str
    say: Sequence[str]
    ask: Sequence[str]
    tell: str
    unsaid: str
    correct: Sequence[str]


@dataclass(frozen=True)
class Chat:
    """A conversation about what was told, and the values that its last answer has to hold."""

    exchanges: Sequence[Exchange]
    values: Sequence[str]


@cache
def things(split: Split) -> Sequence[Thing]:
    """Return what can be told, with the wordings of the split; things without any are left out."""
    lines = _FILE.read_text("utf-8").splitlines()
    found = [_thing(line, split) for line in lines if not line.startswith("#")]
    return [one for one in found if one.say and one.ask and one.correct]


def _thing(line: str, split: Split) -> Thing:
    kind, say, ask, tell, unsaid, correct = (cell.strip() for cell in line.split("|"))
    return Thing(kind, _of(split, say), _of(split, ask), tell, unsaid, _of(split, correct))


def _of(split: Split, cell: str) -> Sequence[str]:
    marked = split == "held_out"
    wordings = cell.split(" ; ")
    return [one.removeprefix("* ") for one in wordings if one.startswith("* ") == marked]


def _memory(random: Random, split: Split) -> Iterator[Example]:
    while True:
        chat = made_chat(random, split)
        messages = [*opening(random, split), *spoken(chat.exchanges)]
        example: Example = {"row": "memory", "source": "own", "messages": messages}
        if length(example) <= LONGEST:
            yield example


def made_chat(random: Random, split: Split) -> Chat:
    """Return a new chat whose last question can be answered from what was told."""
    make = random.choices((_told, _corrected, _together, _all, _not_told), (42, 14, 14, 6, 24))[0]
    return make(random, split)


def _told(random: Random, split: Split) -> Chat:
    """Return a chat with one to three things told, other talk, and each asked for in any order."""
    chosen = _chosen(random, split, random.randint(1, 3))
    known = [(thing, draw(thing.kind, random, split)) for thing in chosen]
    talk = [_telling([pair], random, split) for pair in known]
    talk = _between(_with_friend(talk, known, random, split), random, split)
    asked = random.sample(known, len(known))
    return Chat([*talk, *(_asking(pair, random) for pair in asked)], [asked[-1][1]])


def _together(random: Random, split: Split) -> Chat:
    """Return a chat with two things told in one turn and asked for in one question."""
    pairs = [(one, draw(one.kind, random, split)) for one in random.sample(things(split), 2)]
    talk = _between([_telling(pairs, random, split)], random, split)
    (first, one), (second, two) = pairs
    question = f"{random.choice(first.ask)} And {_lowered(random.choice(second.ask))}"
    return Chat([*talk, (question, _recalled(pairs))], [one, two])


def _all(random: Random, split: Split) -> Chat:
    """Return a chat where everything that was told is asked for at once."""
    chosen = _chosen(random, split, random.choice([2, 2, 3]))
    known = [(thing, draw(thing.kind, random, split)) for thing in chosen]
    talk = _between([_telling([pair], random, split) for pair in known], random, split)
    question = random.choice(_SUMMARIES[split])
    return Chat([*talk, (question, _recalled(known))], [value for _, value in known])


def _recalled(known: Sequence[tuple[Thing, str]]) -> str:
    return " ".join(sentence(thing.tell.format(v=value)) for thing, value in known)


def _chosen(random: Random, split: Split, count: int) -> list[Thing]:
    """Return things to tell, often of one kind, so that they can be mistaken for each other."""
    known = things(split)
    first = random.choice(known)
    alike = [one for one in known if one.kind == first.kind]
    if count <= len(alike) and random.random() < 0.6:
        return random.sample(alike, count)
    return random.sample(known, count)


def _with_friend(
    talk: Sequence[Exchange],
    known: Sequence[tuple[Thing, str]],
    random: Random,
    split: Split,
) -> Sequence[Exchange]:
    """Return the talk, at times with the same thing told of somebody else."""
    able = [(thing, value) for thing, value in known if thing.kind in _OF_FRIENDS]
    if not able or random.random() > 0.4:
        return talk
    thing, value = random.choice(able)
    other = draw(thing.kind, random, split)
    if other in value or value in other:
        return talk
    friend = f"{random.choice(_FRIENDS[split])} {draw('first', random, split)}"
    told = (sentence(f"{friend} {_OF_FRIENDS[thing.kind].format(v=other)}"), _nod(random, split))
    return [*talk, told] if random.random() < 0.5 else [told, *talk]


def _corrected(random: Random, split: Split) -> Chat:
    """Return a chat where a thing is put right later: the later value counts."""
    thing = random.choice(things(split))
    old, new = draw(thing.kind, random, split), draw(thing.kind, random, split)
    if old in new or new in old:
        return _corrected(random, split)
    talk = _between([_telling([(thing, old)], random, split)], random, split)
    corrected = sentence(random.choice(thing.correct).format(v=new))
    talk.append((corrected, _nod(random, split)))
    talk += [exchange(random, split) for _ in range(random.randint(0, 2))]
    return Chat([*talk, _asking((thing, new), random)], [new])


def _not_told(random: Random, split: Split) -> Chat:
    """Return a chat with a question on what was not told; the last one can be answered."""
    told, missing = _chosen(random, split, 2)
    value = draw(told.kind, random, split)
    talk = _between([_telling([(told, value)], random, split)], random, split)
    gap = (random.choice(missing.ask), missing.unsaid)
    return Chat([*talk, gap, _asking((told, value), random)], [value])


def _telling(pairs: Sequence[tuple[Thing, str]], random: Random, split: Split) -> Exchange:
    told = [sentence(random.choice(thing.say).format(v=value)) for thing, value in pairs]
    joined = random.random() < 0.5 and told[-1].startswith(("I ", "I'm ", "My "))
    joined = joined and ": " not in told[0]
    said = (
        f"{told[0].rstrip('.')} and {_inside(told[-1])}" if joined and told[1:] else " ".join(told)
    )
    thing, value = pairs[0]
    name = thing.tell == "Your name is {v}."
    return said, f"Nice to meet you, {value}!" if name else _nod(random, split)


def _nod(random: Random, split: Split) -> str:
    return random.choice(_NODS[split])


def _asking(pair: tuple[Thing, str], random: Random) -> Exchange:
    thing, value = pair
    told = sentence(thing.tell.format(v=value))
    if random.random() < 0.12:
        told = f"You told me that {_lowered(told)}"
    return random.choice(thing.ask), told


def _between(talk: Sequence[Exchange], random: Random, split: Split) -> list[Exchange]:
    """Return the talk with other talk between, and after it."""
    mixed = list(talk)
    for _ in range(random.randint(0, 3)):
        mixed.insert(random.randint(1, len(mixed)), exchange(random, split))
    return mixed


def _inside(text: str) -> str:
    """Return a sentence as it stands inside another one."""
    return _lowered(text) if text.startswith("My ") else text


def _lowered(text: str) -> str:
    return text if text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def _item(random: Random) -> Item:
    chat = made_chat(random, "held_out")
    messages = [*opening(random, "held_out"), *spoken(chat.exchanges)][:-1]
    expect = {"contains": [accepted(value) for value in chat.values]}
    return {"id": "", "row": "", "messages": messages, "expect": expect}


def _items(random: Random) -> Iterator[Item]:
    return numbered("memory", _item, random)


GENERATORS = {"memory": _memory}
ITEMS: dict[str, Callable[[Random], Iterator[Item]]] = {"memory": _items}
