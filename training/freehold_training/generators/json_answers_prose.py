"""Records told in one sentence each, as people write them."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from freehold_training.example import Split
from freehold_training.generators.json_answers_records import Told, as_json, object_schema
from freehold_training.pools.text_values import draw, sentence

_FILE = Path(__file__).parents[1] / "pools" / "json_prose.txt"
_PLACE = re.compile(r"\{(\w+):(\w+)([#$]?)\}")
_TYPES = {"": "string", "#": "integer", "$": "number"}


@cache
def _sentences(split: Split) -> Sequence[str]:
    lines = [line for line in _FILE.read_text("utf-8").splitlines() if not line.startswith("# ")]
    marked = split == "held_out"
    return [line.removeprefix("* ") for line in lines if line.startswith("* ") == marked]


def prose(random: Random, split: Split) -> Told:
    """Return a sentence and its record; some of its keys may not be asked for."""
    template = random.choice(_sentences(split))
    places = _PLACE.findall(template)
    values = {key: draw(kind, random, split) for key, kind, _ in places}
    text = sentence(_PLACE.sub(lambda place: values[place[1]], template))
    asked = places if random.random() < 0.8 else random.sample(places, max(2, len(places) - 1))
    ordered = random.sample(asked, len(asked)) if random.random() < 0.4 else asked
    answer: dict[str, Any] = {key: as_json(_TYPES[mark], values[key]) for key, _, mark in ordered}
    schema = object_schema({key: {"type": _TYPES[mark]} for key, _, mark in ordered})
    return Told("record", "the facts", text, answer, schema)
