"""Everything about tools, by the name of its row: what to train with, and what to judge by."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from freehold_training.example import Example, Generator, Item, Split
from freehold_training.generators.tools_calls import tool_ask, tool_call, tool_parallel
from freehold_training.generators.tools_results import tool_result, tool_rounds, trip
from freehold_training.generators.tools_talk import tool_none

# Characters of an example: about 900 tokens, of which JSON has one for every three; more where
# there is more to learn from the same tools.
_LONGEST, _LONGEST_ROUNDS = 2500, 3600


def _short(generator: Generator, longest: int = _LONGEST) -> Generator:
    def generate(random: Random, split: Split) -> Iterator[Example]:
        return (made for made in generator(random, split) if len(json.dumps(made)) <= longest)

    return generate


GENERATORS: dict[str, Generator] = {
    "tool_call": _short(tool_call),
    "tool_parallel": _short(tool_parallel),
    "tool_none": _short(tool_none),
    "tool_ask": _short(tool_ask),
    "tool_result": _short(tool_result),
    "tool_rounds": _short(tool_rounds, _LONGEST_ROUNDS),
}


def _calls(example: Example) -> dict[str, Any]:
    made = [call["function"] for call in example["messages"][-1]["tool_calls"]]
    return {
        "calls": [{"name": one["name"], "arguments": json.loads(one["arguments"])} for one in made]
    }


def _no_call(_: Example) -> dict[str, Any]:
    return {"no_call": True}


Items = Callable[[Random], Iterator[Item]]


def _judged(row: str, expect: Callable[[Example], dict[str, Any]]) -> Items:
    def items(random: Random) -> Iterator[Item]:
        for number, example in enumerate(GENERATORS[row](random, "held_out")):
            yield _item(row, number, example, expect(example))

    return items


def _item(row: str, number: int, example: Example, expect: dict[str, Any]) -> Item:
    return {
        "id": f"{row}-{number}",
        "row": row,
        "messages": example["messages"][:-1],
        "tools": example.get("tools", []),
        "expect": expect,
    }


def _result_items(random: Random) -> Iterator[Item]:
    number = 0
    while True:
        made = trip(random, "held_out")
        if made.messages[-2]["role"] != "tool":
            continue
        example: Example = {
            "row": "tool_result",
            "source": "generated",
            "messages": made.messages,
            "tools": made.scene.definitions,
        }
        yield _item("tool_result", number, example, {"contains": made.needed})
        number += 1


ITEMS: dict[str, Items] = {
    "tool_call": _judged("tool_call", _calls),
    "tool_parallel": _judged("tool_parallel", _calls),
    "tool_none": _judged("tool_none", _no_call),
    "tool_result": _result_items,
}
