"""Texts made of facts: prose with joined sentences, lists, questions and answers, dialogues."""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from freehold_training.example import Split
from freehold_training.generators.reading_topics import Fact, Subject
from freehold_training.pools.text_values import Filling, draw, sentence

Said = tuple[Fact, str]
"""A fact and its value."""

_PLACE = "{r} "
_EMBEDDING: Mapping[Split, Sequence[str]] = {
    "train": (
        "It is worth knowing that ",
        "As far as anyone knows, ",
        "It should be added that ",
        "Not everyone knows that ",
        "According to the latest information, ",
        "As many have heard, ",
        "Besides, ",
    ),
    "held_out": ("It may be of interest that ", "By all accounts, "),
}
_TAILS: Mapping[Split, Sequence[str]] = {
    "train": (
        "as the local paper reported",
        "as everyone around here knows",
        "which surprised quite a few people",
        "although hardly anybody talks about it",
        "and many are glad of that",
        "at least according to the latest report",
    ),
    "held_out": ("as regulars will confirm", "or so one hears"),
}
# What asks the reader to do something cannot be a part of another sentence.
_ASKING = re.compile(
    r"(?:Add|Be|Call|Clean|Do|Don't|Fill|Keep|Let|Never|Plan|Please|Read|Send|Set|Take|Use|Weigh"
    r"|Write|Besides|To|Then|Later)\b"
)
# What a bare answer begins with, and a label does not need.
_PREPOSITION = re.compile(r"^(?:In|On|At|By|From|To|For|Since|Until|With|Because of) (?=\S)")


def prose(
    said: Sequence[Said], about: Subject, filler: Sequence[str], random: Random, split: Split
) -> str:
    """Return the facts as running text, the other sentences between them."""
    writer = _Writer(about, random, split)
    places = sorted(random.choices(range(1, len(said) + 1), k=len(filler)))
    rest = list(said)
    sentences: list[str] = []
    while rest:
        count = 2 if len(rest) > 1 and random.random() < 0.35 else 1
        taken, rest = rest[:count], rest[count:]
        sentences.append(writer.written(taken))
        while places and places[0] <= len(said) - len(rest):
            sentences.append(filler[len(filler) - len(places)])
            places.pop(0)
            writer.interrupted()
    return _paragraphs(sentences, random)


def _paragraphs(sentences: Sequence[str], random: Random) -> str:
    if len(sentences) < 7 or random.random() < 0.5:
        return " ".join(sentences)
    cut = random.randint(3, len(sentences) - 3)
    return f"{' '.join(sentences[:cut])}\n{' '.join(sentences[cut:])}"


class _Writer:
    """Writes sentence by sentence, and knows how the subject can be referred to next."""

    def __init__(self, about: Subject, random: Random, split: Split) -> None:
        self._about = about
        self._random = random
        self._split: Split = split
        self._named = False
        self._near = False
        self._last = about.full

    def interrupted(self) -> None:
        """Note that the last sentence was about something else."""
        self._near = False

    def written(self, said: Sequence[Said]) -> str:
        """Return one sentence that says one fact or two."""
        templates = [self._random.choice(fact.say) for fact, _ in said]
        values = [value for _, value in said]
        if len(said) == 1:
            text = self._single(templates[0], values[0])
        elif all(one.startswith(_PLACE) and _plain(one) for one in templates):
            text = self._of_one_subject(templates, values)
        else:
            text = self._side_by_side(templates, values)
        self._near = templates[-1].startswith(_PLACE) and templates[0].startswith(_PLACE)
        return sentence(text)

    def _single(self, template: str, value: str) -> str:
        chance = self._random.random()
        if not _plain(template) or _ASKING.match(template) or chance > 0.2:
            return self._clause(template, value)
        if chance > 0.1 and template.startswith(_PLACE):
            tail = self._random.choice(_TAILS[self._split])
            return f"{self._clause(template, value).removesuffix('.')}, {tail}."
        return self._random.choice(_EMBEDDING[self._split]) + self._clause(_small(template), value)

    def _of_one_subject(self, templates: Sequence[str], values: Sequence[str]) -> str:
        first = self._clause(templates[0], values[0]).rstrip(".")
        subject = self._last
        second = self._clause(templates[1].removeprefix(_PLACE), values[1])
        if self._random.random() < 0.4 and subject not in ("it", "he", "she", "they"):
            aside = first[len(subject) + 1 :]
            return f"{subject}, {self._about.relative} {aside}, {second}"
        return f"{first} and {second}"

    def _side_by_side(self, templates: Sequence[str], values: Sequence[str]) -> str:
        first = self._clause(templates[0], values[0])
        other = self._clause(_small(templates[1]), values[1])
        if not (_plain(templates[0]) and _plain(templates[1])):
            return f"{first} {sentence(other)}"
        link = self._random.choice([", and ", ", and ", "; "])
        return f"{first.rstrip('.')}{link}{other}"

    def _clause(self, template: str, value: str) -> str:
        self._last = self._reference(template)
        given = {"s": self._about.full, "r": self._last, "v": value}
        filling = Filling(self._random, self._split, **given)
        if "{s}" in template or "{r}" in template:
            self._named = True
        return template.format_map(filling)

    def _reference(self, template: str) -> str:
        """Return how the subject is called in the template's place for it."""
        chance = self._random.random()
        if not self._named or chance < 0.25:
            return self._about.full
        if self._about.pronoun and self._near and template.startswith(_PLACE) and chance < 0.7:
            return self._about.pronoun
        return self._about.again


def _plain(template: str) -> bool:
    """Return whether a sentence can be a part of another."""
    return template.endswith(".") and not re.search(r"[;:!?]|, |\. ", template)


def _small(template: str) -> str:
    """Return a sentence as it begins inside another; places keep what fills them."""
    return template[:1].lower() + template[1:]


def bare(said: Said, about: Subject) -> str:
    """Return the words that alone answer a question for the fact, for a label or a table."""
    fact, value = said
    text = fact.tell[-1].format(s=about.full, r=about.again, v=value).rstrip(".")
    text = _PREPOSITION.sub("", text)
    return text if "@" in text else sentence(text)


def _listed(said: Sequence[Said], about: Subject, random: Random) -> str:
    form = random.choice(
        ["{key}: {value}", "- {key}: {value}", "* **{key}:** {value}", "| {key} | {value} |"]
    )
    return "\n".join(form.format(key=one[0].key, value=bare(one, about)) for one in said)


def listed(
    said: Sequence[Said], about: Subject, filler: Sequence[str], random: Random, split: Split
) -> str:
    """Return the facts with labels as a list or table, the others as prose before it."""
    labelled = [one for one in said if one[0].key and len(one[0].tell) > 1]
    others = [one for one in said if one not in labelled]
    before = prose(others, about, filler[:3], random, split) if others else " ".join(filler[:2])
    return f"{before}\n\n{_listed(labelled, about, random)}" if labelled else before


def interview(
    said: Sequence[Said], about: Subject, filler: Sequence[str], random: Random, split: Split
) -> str:
    """Return the facts as a page of questions and answers, or as a talk between two people."""
    one, two = draw("first", random, split), draw("first", random, split)
    who = (
        random.choice([("Q", "A"), ("Q", "A"), (f"{one}", f"{two}")]) if one != two else ("Q", "A")
    )
    lines = [
        f"{who[0]}: {sentence(random.choice(fact.ask).format(s=about.full, r=about.again))}\n"
        f"{who[1]}: {sentence(fact.tell[0].format(s=about.full, r=about.again, v=value))}"
        for fact, value in said
    ]
    for extra in filler[:2]:
        lines[random.randrange(len(lines))] += f" {extra}"
    return "\n".join(lines)


Form = Callable[[Sequence[Said], Subject, Sequence[str], Random, Split], str]
FORMS: Sequence[tuple[Form, int]] = ((prose, 76), (listed, 14), (interview, 10))
