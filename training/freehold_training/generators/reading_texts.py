"""New texts whose facts are known, with the questions that they answer and do not answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from freehold_training.example import Split
from freehold_training.generators.reading_prose import FORMS, Said
from freehold_training.generators.reading_topics import (
    Fact,
    Subject,
    Topic,
    kin,
    subject_of,
    topics,
    value_of,
)
from freehold_training.pools.text_values import sentence

_FEWEST = 5
# The facts that tell the year in which everything began.
_BEGINNINGS = ("Founded", "Born")
# Share of the texts that also name another of the same sort.
_ASIDE = 0.25
# For statements that are asked back, true or not.
_STATEMENTS = (
    "Is it true that {tell}?",
    "Is it right that {tell}?",
    "Does the text say that {tell}?",
    "{Tell}, right?",
    "I think {tell}. Is that so?",
)
_UNSAID = ("The text does not say",) * 8 + ("The text doesn't say",) * 2


@dataclass(frozen=True)
class Asked:
    """A question on a text; ``value`` is what the text says, or None where it says nothing.

    ``later`` asks the same where the subject is known from the talk before.
    """

    question: str
    answer: str
    value: str | None
    later: str = ""


@dataclass(frozen=True)
class Passage:
    """A text on one subject, and the questions that it answers and does not answer.

    ``named`` is the subject as it stands inside a sentence; ``aside`` is the sentence of the text
    that is on something else of the same sort.
    """

    subject: str
    named: str
    text: str
    told: Sequence[Asked]
    untold: Sequence[Asked]
    aside: str = ""


def passage(random: Random, split: Split, topic: Topic | None = None, most: int = 8) -> Passage:
    """Return a new text with at most so many facts; what it leaves out could have been in it."""
    topic = topic or random.choice(topics(split))
    about = subject_of(topic, random, split)
    facts = random.sample(topic.facts, len(topic.facts))
    count = random.randint(_FEWEST, max(_FEWEST, min(most, len(facts) - 2)))
    said = _in_time([(fact, value_of(fact.kind, random, split)) for fact in facts[:count]])
    form = random.choices([form for form, _ in FORMS], [weight for _, weight in FORMS])[0]
    text = form(said, about, _filler(topic, count, random), random, split)
    told = [_told(one, about, text, random, split) for one in said]
    untold = [_untold(fact, about, random) for fact in _near(facts[:count], facts[count:], random)]
    made = Passage(about.name, about.full, _opened(text, about.name, random), told, untold)
    if split == "train" and random.random() < _ASIDE:
        return _with_another(made, topic, about, facts[count:], random)
    return made


def _in_time(said: Sequence[Said]) -> Sequence[Said]:
    """Return the facts with the years in an order that can be: nothing is before the beginning."""
    years = sorted(value for fact, value in said if fact.kind == "year")
    if not any(fact.key in _BEGINNINGS for fact, _ in said):
        return said
    first = years.pop(0)
    later = iter(years)
    return [
        (fact, first if fact.key in _BEGINNINGS else next(later) if fact.kind == "year" else value)
        for fact, value in said
    ]


def _with_another(
    one: Passage, topic: Topic, about: Subject, left_out: Sequence[Fact], random: Random
) -> Passage:
    """Return the text with a sentence that says of another what is not said of its subject."""
    able = [fact for fact in left_out if any(say.startswith("{r} ") for say in fact.say)]
    other = subject_of(topic, random, "train")
    if not able or other.name == about.name:
        return one
    fact = random.choice(able)
    value = value_of(fact.kind, random, "train")
    say = random.choice([say for say in fact.say if say.startswith("{r} ")])
    kind = "A cousin" if other.relative == "who" else f"Another {other.again.rpartition('the ')[2]}"
    aside = say.format(s=other.full, r=f"{kind}, {other.full},", v=value)
    asked = Asked(
        _questions(random.choice(fact.ask), other)[0],
        _answer(fact.tell[0], other.full, value),
        value,
    )
    link = " " if one.text.endswith(".") and random.random() < 0.5 else "\n"
    return Passage(
        one.subject,
        one.named,
        f"{one.text}{link}{aside}",
        [*one.told, asked],
        [_untold(fact, about, random)],
        aside,
    )


def _filler(topic: Topic, facts: int, random: Random) -> list[str]:
    """Return sentences that tell nothing asked for."""
    return random.sample(topic.filler, random.randint(1, min(len(topic.filler), facts)))


def _near(told: Sequence[Fact], others: Sequence[Fact], random: Random) -> Sequence[Fact]:
    """Return the facts left out, mostly only those like one that is told."""
    like = {kin(fact) for fact in told}
    near = [fact for fact in others if kin(fact) in like]
    return near if near and random.random() < 0.75 else others


def _told(said: Said, about: Subject, text: str, random: Random, split: Split) -> Asked:
    chance = random.random() if split == "train" else 1
    if chance < 0.18 and (asked := _checked(said, about, text, random, split)):
        return asked
    fact, value = said
    first, later = _questions(random.choice(fact.ask), about)
    brief = split == "train" and bool(fact.key) and random.random() < 0.2
    told = fact.tell[0] if random.random() < 0.75 - brief * 0.25 else random.choice(fact.tell)
    answer = _answer(told, about.full, value)
    return Asked(first, answer, value, f"{fact.key}?" if brief else later)


def _questions(template: str, about: Subject) -> tuple[str, str]:
    """Return a question that names the subject, and one that takes it as known."""
    full = sentence(template.format(s=about.full, r=about.again))
    return full, sentence(template.format(s=about.again, r=about.again))


def _answer(tell: str, name: str, value: str) -> str:
    told = tell.format(s=name, r=name, v=value)
    answer = told if "@" in told and " " not in told else sentence(told)
    return answer if answer.endswith((".", "!", "?")) or " " not in answer else answer + "."


def _checked(said: Said, about: Subject, text: str, random: Random, split: Split) -> Asked | None:
    """Return a question to be answered with yes or no, None where no wrong value can be found."""
    fact, value = said
    right = random.random() < 0.5
    other = value if right else value_of(fact.kind, random, split)
    if (other in text) != right:
        return None
    tell = _small(fact.tell[0].removesuffix("."))
    statement = tell.format(s=about.full, v=other)
    asks = [one.format(s=about.full, w=other) for one in fact.check] * 3
    if "{s}" in tell:
        asks += [one.format(tell=statement, Tell=sentence(statement)) for one in _STATEMENTS]
    if not asks:
        return None
    answer = f"{'Yes' if right else 'No'}, {tell.format(s=about.full, v=value)}."
    return Asked(sentence(random.choice(asks)), answer, value)


def _small(template: str) -> str:
    return template[:1].lower() + template[1:]


def _untold(fact: Fact, about: Subject, random: Random) -> Asked:
    first, later = _questions(random.choice(fact.ask), about)
    missed = fact.unsaid.format(s=about.full)
    return Asked(first, f"{random.choice(_UNSAID)} {missed}.", None, later)


def _opened(text: str, subject: str, random: Random) -> str:
    """Return the text, under its subject as a title at least where it does not begin with it."""
    begins = subject.casefold() in text.split(".", 1)[0].casefold()
    return text if begins and random.random() < 0.6 else f"{sentence(subject)}\n{text}"
