"""Short texts to sort under a label: the answer is a JSON object with an enum or a boolean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from freehold_training.example import Split
from freehold_training.generators.json_answers_records import Told, object_schema
from freehold_training.pools.text_values import Filling, fill

_FILE = Path(__file__).parents[1] / "pools" / "json_labels.txt"
_TRUTHS = {"true": True, "false": False}


@dataclass
class Labels:
    """A question with its labels, and texts of each label."""

    key: str
    called: str
    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


@cache
def _all() -> Sequence[Labels]:
    found: list[Labels] = []
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("=="):
            key, called = (cell.strip() for cell in line.lstrip("= ").split("|"))
            found.append(Labels(key, called))
        elif line and not line.startswith("#"):
            label, texts = line.split(": ", 1)
            found[-1].texts[label] = texts.split(" ; ")
    return found


def _of(split: Split, texts: Sequence[str]) -> Sequence[str]:
    marked = split == "held_out"
    return [text.removeprefix("* ") for text in texts if text.startswith("* ") == marked]


def labelled(random: Random, split: Split) -> Told:
    """Return a text with the label it belongs to, at times with a value of it to copy as well."""
    labels = random.choice(_all())
    label = random.choice(list(labels.texts))
    filling = Filling(random, split)
    text = fill(random.choice(_of(split, labels.texts[label])), filling)
    if set(labels.texts) == set(_TRUTHS):
        answer: dict[str, Any] = {labels.key: _TRUTHS[label]}
        properties: dict[str, Any] = {labels.key: {"type": "boolean"}}
    else:
        answer = {labels.key: label}
        properties = {labels.key: _enum(labels, random)}
    if random.random() < 0.4:
        text, answer, properties = _signed(text, answer, properties, filling)
    return Told(labels.key, labels.called, text, answer, object_schema(properties), label=True)


def _enum(labels: Labels, random: Random) -> dict[str, Any]:
    return {"type": "string", "enum": random.sample(list(labels.texts), len(labels.texts))}


def _signed(
    text: str, answer: Mapping[str, Any], properties: Mapping[str, Any], filling: Filling
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the text with its writer's name, which the answer then has to give as well."""
    writer = filling["person9"]
    return (
        f"From {writer}: {text}",
        {"sender": writer, **answer},
        {"sender": {"type": "string"}, **properties},
    )
