import json
import re
from collections.abc import Mapping
from importlib import import_module
from itertools import islice, repeat
from random import Random

import pytest

from freehold_training import items
from freehold_training.items.__main__ import GENERATORS, _unlike
from freehold_training.judge import judge

SIZES = {"general": 50, "open": 40, "conversation": 20, **dict.fromkeys(items.needle.SIZES, 10)}
# What is said with or about tools without calling any is talk, as short as talk is.
SPLIT_ROWS = sorted(set(items.HELD_OUT_ROWS) - {"tool_none"})
CLOSED = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}


@pytest.mark.parametrize("row", items.ROWS)
def test_a_row_has_its_number_of_items(row):
    found = items.load([row])
    assert len(found) == SIZES.get(row, 120)
    assert {item["row"] for item in found} == {row}
    asked = {json.dumps([item["messages"], item.get("tools")]) for item in found}
    assert len(asked) == len(found)


def test_ids_are_unique_and_the_limit_is_for_each_row():
    ids = [item["id"] for item in items.load()]
    assert len(ids) == len(set(ids))
    assert len(items.load(["general", "open"], 3)) == 6


def test_the_questions_are_the_same_every_time():
    assert items.load() == items.load()


def right(item):
    """Return an answer that is right by the item's own key."""
    expect = item["expect"]
    calls = [
        {"function": {**call, "arguments": json.dumps(call["arguments"])}}
        for call in expect.get("calls", ())
    ]
    if "json" in expect:
        return {"content": json.dumps(expect["json"])}
    if "declines" in expect:
        return {"content": "The text does not say that."}
    phrases = [each if isinstance(each, str) else each[0] for each in expect.get("contains", [])]
    return {"content": None if calls else ". ".join(phrases) or "Well.", "tool_calls": calls}


@pytest.mark.parametrize("row", [row for row in items.ROWS if row != items.CONVERSATIONS])
def test_the_key_of_every_item_can_be_met_and_saying_nothing_does_not_meet_it(row):
    for item in items.load([row]):
        assert judge(item, right(item)).wrong == "", item["id"]
        if row != "open":
            assert not judge(item, {"content": ""}).passed, item["id"]


@pytest.mark.parametrize("row", items.needle.SIZES)
def test_a_text_with_a_needle_is_as_long_as_its_row_says(row):
    for item in items.load([row]):
        words = len(item["messages"][0]["content"].split())
        assert abs(words / 0.8 / items.needle.SIZES[row] - 1) < 0.1


def plain(text):
    """Return the words around the values: what is left of a template."""
    return re.sub(r"\b(?!Wh|How\b)\S*[\dA-Z]\S*", "_", text)


def said_by_users(messages):
    return [message["content"] for message in messages if message["role"] == "user"]


def names(value):
    """Yield the values that are names: text with a capital, but no days of the week."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from names(each)
    elif isinstance(value, str) and value not in CLOSED and re.search("[A-Z]", value):
        yield value


@pytest.fixture(scope="module")
def training():
    """Examples of every generator, as a training draws them."""
    modules = [import_module(f"freehold_training.generators.{name}") for name in GENERATORS]
    made = [made for module in modules for made in module.GENERATORS.values()]
    seed = Random(1)  # noqa: S311 - examples, not secrets
    return [example for make in made for example in islice(make(seed, "train"), 500)]


def choices(value):
    """Yield what schemas enumerate: to choose among it is the task, whatever was learnt."""
    if isinstance(value, Mapping):
        yield from value["enum"] if isinstance(value.get("enum"), list) else ()
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from choices(each)


def learnt_names(example):
    for message in example["messages"]:
        for call in message.get("tool_calls") or ():
            yield from names(json.loads(call["function"]["arguments"]))
    if example["row"] == "json":
        yield from names(json.loads(example["messages"][-1]["content"]))


@pytest.mark.parametrize("row", SPLIT_ROWS)
def test_nothing_that_is_asked_is_learnt(row, training):
    learnt = {text for example in training for text in said_by_users(example["messages"])}
    asked = {said_by_users(item["messages"])[-1] for item in items.load([row])}
    assert asked & learnt == set()


@pytest.mark.parametrize("row", SPLIT_ROWS)
def test_no_template_of_a_question_is_learnt(row, training):
    learnt = {plain(text) for one in training for text in said_by_users(one["messages"])}
    asked = {plain(said_by_users(item["messages"])[-1]) for item in items.load([row])}
    telling = {text for text in asked if len(re.findall("[a-z]{2,}", text)) > 2}
    assert telling & learnt == set()


@pytest.mark.parametrize("row", ["tool_call", "tool_parallel", "json"])
def test_no_name_that_is_expected_is_learnt(row, training):
    learnt = {name for example in training for name in learnt_names(example)}
    wanted = {
        name
        for item in items.load([row])
        for name in set(names([item["expect"]])) - set(choices([item]))
    }
    assert wanted & learnt == set()


@pytest.mark.parametrize("row", ["tool_call", "tool_parallel", "tool_none", "tool_result"])
def test_no_tool_that_is_asked_for_is_learnt(row, training):
    def tools(examples):
        return {
            tool["function"]["name"].replace("_", "").casefold()
            for example in examples
            for tool in example.get("tools", ())
        }

    assert tools(items.load([row])) & tools(training) == set()


def test_a_generator_that_repeats_itself_for_ever_is_an_error():
    one = items.load(["general"], 1)[0]
    with pytest.raises(ValueError, match="general knows 1 items only"):
        list(_unlike(repeat(one)))
