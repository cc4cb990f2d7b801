"""JSON as the answer: by a schema, by a description, from a text or a request."""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from freehold_training.example import Example, Item, Split
from freehold_training.generators.chat_frame import LONGEST, length, numbered, opening
from freehold_training.generators.json_answers_labels import labelled
from freehold_training.generators.json_answers_lists import listed
from freehold_training.generators.json_answers_prose import prose
from freehold_training.generators.json_answers_records import Told, told

# The last two of each list are for the evaluation.
_BY_SCHEMA = (
    "{text}",
    "{text}",
    "Extract the data: {text}",
    "Extract the details of {called}.\n\n{text}",
    "Turn this into JSON: {text}",
    "Fill in the fields for {called}.\n\n{text}",
    "{text}\n\nGive me {called} as JSON.",
    'Read the text and answer with JSON.\n\nText: """{text}"""',
    "What do we know about {called}? {text}",
    "Get the structured data out of this message:\n\n{text}",
    "Put this in the database format: {text}",
    "Message:\n{text}\n\nReturn what it says of {called} as an object.",
)
_LABELS = (
    "{text}",
    "{text}",
    "Determine {called}.\n\n{text}",
    "{text}\n\nDetermine {called}.",
    "Classify this message: {text}",
    "Read this message and determine {called}.\n\nMessage: {text}",
    "Find out {called}.\n\n{text}",
    "{text}\n\nDecide {called}.",
)
_BY_DESCRIPTION = (
    "{text}\n\nReply in JSON with the keys {keys}.",
    "Reply in JSON with keys {keys}: {text}",
    "Extract {keys} as JSON.\n\n{text}",
    "Give me a JSON object with {keys}.\n\n{text}",
    "Turn the text into JSON. Keys: {keys}.\n\nText: {text}",
    "Answer only with a JSON object that has the keys {keys}.\n\n{text}",
    "{text}\n\nOutput JSON, please: {keys}.",
    "From the message below make JSON having {keys} as its keys.\n\n{text}",
)


def _json(random: Random, split: Split) -> Iterator[Example]:
    while True:
        one = _told(random, split)
        prompt, response_format = _asked(one, random, split)
        answer = json.dumps(one.answer, ensure_ascii=False)
        example: Example = {
            "row": "json",
            "source": "own",
            "messages": [
                *opening(random, split),
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answer},
            ],
        }
        if response_format:
            example["response_format"] = response_format
        if length(example) + len(json.dumps(response_format)) <= LONGEST:
            yield example


def _told(random: Random, split: Split) -> Told:
    make = random.choices((told, prose, labelled, listed), (38, 24, 18, 20))[0]
    return make(random, split)


def _asked(one: Told, random: Random, split: Split) -> tuple[str, dict[str, Any] | None]:
    """Return the user's words and the format of the answer, which one of both describes."""
    if random.random() < 0.75 or not _flat(one):
        return _worded(_by_schema(one), one, random, split), schema_format(one)
    loose = {"type": "json_object"} if random.random() < 0.5 else None
    return _worded(_BY_DESCRIPTION, one, random, split), loose


def _by_schema(one: Told) -> Sequence[str]:
    return _LABELS if one.label else _BY_SCHEMA


def _flat(one: Told) -> bool:
    """Return whether the keys alone say what is wanted."""
    return all("type" in each and "items" not in each for each in _properties(one)) and not any(
        "enum" in each or each["type"] in ("object", "boolean") for each in _properties(one)
    )


def _properties(one: Told) -> Sequence[dict[str, Any]]:
    return list(one.schema["properties"].values())


def _worded(wordings: Sequence[str], one: Told, random: Random, split: Split) -> str:
    wording = random.choice(wordings[-2:] if split == "held_out" else wordings[:-2])
    *most, last = one.answer
    keys = f"{', '.join(most)} and {last}" if most else last
    return wording.format(text=one.text, called=one.called, keys=keys)


def schema_format(one: Told) -> dict[str, Any]:
    """Return the response format of a chat request that asks for the record's schema."""
    name = one.name.replace(" ", "_")
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": one.schema},
    }


def _item(random: Random) -> Item:
    one = _told(random, "held_out")
    prompt = _worded(_by_schema(one), one, random, "held_out")
    return {
        "id": "",
        "row": "",
        "messages": [*opening(random, "held_out"), {"role": "user", "content": prompt}],
        "response_format": schema_format(one),
        "expect": {"json": one.answer},
    }


def _items(random: Random) -> Iterator[Item]:
    return numbered("json", _item, random)


GENERATORS = {"json": _json}
ITEMS: dict[str, Callable[[Random], Iterator[Item]]] = {"json": _items}
