"""Values to fill texts and answers with: names, places, dates, sums, codes, made-up words."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from string import ascii_uppercase
from typing import cast

from freehold_training.example import Split, part

Draw = Callable[[Random, Split], str]

_FILE = Path(__file__).with_name("text_values.txt")
# Words are joined from these, and never split: the words that come out are.
_SYLLABLES = ("start", "middle", "end")
# By sound: a ukulele and a unit, but an umbrella.
_ARTICLE = re.compile(r"\b([Aa])(?= (?:[aei]|o(?!ne\b)|um))")
# Where any word may stand: what is learnt is to copy it, not to know the usual ones.
_OPEN = ("first", "last", "city", "pet")
_OPEN_SHARE = 0.25
# Too short a list to keep any of it back; every value is in both splits.
_SHARED = ("day", "month", "suffix")


@cache
def _lists() -> dict[str, list[str]]:
    """Return the lists of the file: names parted by commas, or else by blanks."""
    lines = (line.split(": ", 1) for line in _FILE.read_text("utf-8").splitlines())
    return {key: text.split("," if "," in text else None) for key, text in lines}


@cache
def values(name: str, split: Split) -> Sequence[str]:
    """Return the values of a list that belong to the split."""
    whole = _lists()[name]
    return whole if name in _SHARED else part(whole, split)


def draw(name: str, random: Random, split: Split) -> str:
    """Return one value of a kind: of a list in the file, or made up by a rule of ``KINDS``."""
    if name in KINDS:
        return KINDS[name](random, split)
    if split == "train" and name in _OPEN and random.random() < _OPEN_SHARE:
        return draw("word", random, split)
    return random.choice(values(name, split))


def made_up(make: Callable[[Random], str]) -> Draw:
    """Return a draw whose values, made by a rule, belong to the split they were asked for."""

    def drawn(random: Random, split: Split) -> str:
        while True:
            value = make(random)
            if part([value], split):
                return value

    return drawn


def _word(random: Random) -> str:
    start, middle, end = (random.choice(_lists()[name]) for name in _SYLLABLES)
    return start + (middle if random.random() < 0.4 else "") + end


def _code(random: Random) -> str:
    letters = "".join(random.choices(ascii_uppercase, k=random.choice([1, 2, 3])))
    digits = "".join(random.choices("0123456789", k=random.choice([2, 3, 4, 5])))
    return random.choice([f"{letters}-{digits}", f"{letters}{digits}", f"{digits}-{letters}"])


def _pin(random: Random) -> str:
    return "".join(random.choices("0123456789", k=random.choice([4, 5, 6])))


def _phone(random: Random) -> str:
    return f"555-{random.randint(1000, 9999)}"


def _postcode(random: Random) -> str:
    return str(random.randint(10000, 99999))


def _iso(random: Random) -> str:
    return f"20{random.randint(18, 29)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"


def _number(low: int, high: int, step: int = 1) -> Draw:
    return made_up(lambda random: f"{random.randrange(low, high, step):,}")


def shared(make: Callable[[Random], str]) -> Draw:
    """Return a draw of values too few to keep any of them back: they are in both splits."""
    return lambda random, _: make(random)


def _shared_number(low: int, high: int) -> Draw:
    return shared(lambda random: str(random.randint(low, high)))


def _full_name(random: Random, split: Split) -> str:
    return f"{draw('first', random, split)} {draw('last', random, split)}"


def _date(random: Random, split: Split) -> str:
    return f"{random.randint(1, 28)} {draw('month', random, split)}"


def _whole_date(random: Random, split: Split) -> str:
    return f"{_date(random, split)} {draw('year', random, split)}"


def _town(random: Random, split: Split) -> str:
    return draw("word" if random.random() < 0.6 else "city", random, split)


def _company(random: Random, split: Split) -> str:
    return f"{draw('word', random, split)} {draw('suffix', random, split)}"


def _address(random: Random, split: Split) -> str:
    return f"{random.randint(1, 199)} {draw('street', random, split)}"


def _email(random: Random, split: Split) -> str:
    name, host = draw("first", random, split).lower(), draw("word", random, split).lower()
    last = draw("last", random, split).lower()
    front = random.choice([name, f"{name}.{last}", f"{name[0]}{last}"])
    return f"{front}@{host}.{random.choice(['com', 'org', 'net', 'example'])}"


def _clock(random: Random) -> str:
    hour, minute = random.randint(7, 21), random.choice([0, 0, 15, 30, 30, 45])
    return f"{hour}:{minute:02}" if hour > 9 else f"0{hour}:{minute:02}"


def _price(random: Random) -> str:
    cents = random.choice(["00", "50", "95", "99", "25", "20"])
    return f"{random.randint(2, 480)}.{cents}"


KINDS: dict[str, Draw] = {
    "word": made_up(_word),
    "code": made_up(_code),
    "pin": made_up(_pin),
    "phone": made_up(_phone),
    "postcode": made_up(_postcode),
    "iso": made_up(_iso),
    "year": made_up(lambda random: str(random.randint(1820, 2024))),
    "count": _number(20, 980),
    "thousands": _number(1100, 98000, 50),
    "small": _shared_number(2, 19),
    "age": _shared_number(18, 90),
    "percent": shared(lambda random: f"{random.randint(3, 95)} percent"),
    "person": _full_name,
    "date": _date,
    "whole_date": _whole_date,
    "company": _company,
    "address": _address,
    "email": _email,
    "clock": shared(_clock),
    "price": made_up(_price),
    "fee": shared(lambda random: f"{random.randint(3, 45)}.{random.choice(['00', '50'])}"),
    "money": lambda random, split: f"${draw('thousands', random, split)}",
    "town": _town,
}


class Filling(dict[str, str]):
    """Values for a template's ``{places}``: those given, the others drawn when first asked for."""

    def __init__(self, random: Random, split: Split, **given: str) -> None:
        super().__init__(given)
        self._random = random
        self._split: Split = split

    def __missing__(self, name: str) -> str:
        # A number after the name asks for another value of the kind: {first2}.
        value = draw(name.rstrip("0123456789"), self._random, self._split)
        self[name] = value
        return value


def fill(template: str, filling: Filling) -> str:
    """Return the template with its places filled and its first letter a capital."""
    return sentence(template.format_map(cast("dict[str, str]", filling)))


def sentence(text: str) -> str:
    """Return the text with its first letter a capital, and "an" where "a" meets a vowel."""
    return _ARTICLE.sub(r"\1n", text[:1].upper() + text[1:])
