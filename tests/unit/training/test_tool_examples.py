"""What the conversations with tools promise to training and to the evaluation."""

import json
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

import freehold
from freehold_training.example import Example, Split
from freehold_training.generators.tools import GENERATORS, ITEMS
from freehold_training.generators.tools_catalogue import catalogue
from freehold_training.generators.tools_results import trip
from freehold_training.generators.tools_values import pool
from freehold_training.prompt import Renderer

_TEMPLATE = Path(freehold.__file__).parent / "data" / "templates" / "smollm2.jinja"
_SPLITS: tuple[Split, Split] = ("train", "held_out")
# About 900 tokens, of which even JSON has one for every three characters.
_LONGEST = 2800


def _seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - examples, not secrets


def _sample(row: str, split: Split, count: int = 200) -> list[Example]:
    return list(islice(GENERATORS[row](_seeded(11), split), count))


def _calls(example: Example) -> list[tuple[str, dict[str, Any]]]:
    made = [call for turn in example["messages"] for call in turn.get("tool_calls") or ()]
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


def _schemas(example: Example) -> dict[str, dict[str, Any]]:
    given = [tool["function"] for tool in example.get("tools", [])]
    return {tool["name"]: tool["parameters"] for tool in given}


def _texts(value: Any, schema: dict[str, Any]) -> list[str]:
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        inner = [_texts(told, schema["properties"][name]) for name, told in fields.items()]
        return [text for texts in inner for text in texts]
    if isinstance(value, list):
        several: list[Any] = value
        return [text for one in several for text in _texts(one, schema["items"])]
    return [value] if isinstance(value, str) and "enum" not in schema else []


@pytest.mark.parametrize("split", _SPLITS)
@pytest.mark.parametrize("row", GENERATORS)
def test_every_call_fits_the_schema_of_a_tool_that_was_given(row: str, split: Split) -> None:
    for example in _sample(row, split):
        schemas = _schemas(example)
        for name, arguments in _calls(example):
            jsonschema.validate(arguments, schemas[name])


@pytest.mark.parametrize("split", _SPLITS)
@pytest.mark.parametrize("row", ["tool_call", "tool_parallel", "tool_ask"])
def test_every_text_in_a_call_is_in_the_words_of_the_user(row: str, split: Split) -> None:
    for example in _sample(row, split):
        said = "\n".join(turn["content"] for turn in example["messages"] if turn["role"] == "user")
        schemas = _schemas(example)
        for name, arguments in _calls(example):
            missing = [text for text in _texts(arguments, schemas[name]) if text not in said]
            assert missing == [], said


@pytest.mark.parametrize("split", _SPLITS)
@pytest.mark.parametrize("row", GENERATORS)
def test_every_example_can_be_shown_to_the_model_and_is_short(row: str, split: Split) -> None:
    renderer = Renderer(_TEMPLATE)
    for example in _sample(row, split, 60):
        pieces = renderer.pieces(example)
        assert pieces[-1][1]
        assert len("".join(text for text, _ in pieces)) < _LONGEST + 600


@pytest.mark.parametrize("row", GENERATORS)
def test_a_seed_always_makes_the_same_examples(row: str) -> None:
    assert _sample(row, "train", 30) == _sample(row, "train", 30)


def test_tools_to_judge_by_are_never_trained_with() -> None:
    trained = {tool.name for tool in catalogue("train")}
    judged = {tool.name for tool in catalogue("held_out")}
    assert trained & judged == set()
    assert len(judged) >= 40


def test_requests_to_judge_by_are_in_no_training_example() -> None:
    asks = [{ask for tool in catalogue(split) for ask in tool.asks} for split in _SPLITS]
    assert asks[0] & asks[1] == set()


@pytest.mark.parametrize("row", ["tool_call", "tool_ask", "tool_result"])
def test_values_to_judge_by_are_in_no_training_call(row: str) -> None:
    known: list[set[str]] = []
    for split in _SPLITS:
        texts: set[str] = set()
        for example in _sample(row, split, 500):
            schemas = _schemas(example)
            for name, arguments in _calls(example):
                texts.update(_texts(arguments, schemas[name]))
        known.append(texts)
    assert known[0] & known[1] == set()


@pytest.mark.parametrize("row", ITEMS)
def test_an_item_ends_where_the_model_has_to_answer(row: str) -> None:
    for item in islice(ITEMS[row](_seeded(5)), 100):
        assert item["messages"][-1]["role"] in ("user", "tool")
        assert item["row"] == row
        assert item["expect"]


def test_what_an_answer_must_contain_is_in_the_conversation_or_an_honest_refusal() -> None:
    for item in islice(ITEMS["tool_result"](_seeded(5)), 100):
        needed = [value for value in item["expect"]["contains"] if isinstance(value, str)]
        results = " ".join(turn["content"] for turn in item["messages"] if turn["role"] == "tool")
        assert all(value in results for value in needed)


@pytest.mark.parametrize("split", _SPLITS)
def test_no_tool_is_called_in_the_last_answer_when_none_is_needed(split: Split) -> None:
    for example in _sample("tool_none", split):
        assert not example["messages"][-1].get("tool_calls")
        assert example["messages"][-1]["content"]


@pytest.mark.parametrize("split", _SPLITS)
def test_the_last_answer_holds_every_value_that_was_asked_for(split: Split) -> None:
    seed = _seeded(3)
    for made in (trip(seed, split) for _ in range(300)):
        answer = made.messages[-1]["content"].casefold()
        spellings = [[one] if isinstance(one, str) else one for one in made.needed]
        assert all(any(one.casefold() in answer for one in each) for each in spellings)


def test_a_field_that_is_asked_for_by_its_name_is_one_that_some_tool_returns() -> None:
    returned = {name for tool in catalogue("train") for name in tool.returns}
    assert set(pool("tools_fields")["field"]) <= returned
