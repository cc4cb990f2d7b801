import json

import pytest

from freehold_training.judge import equal, judge
from freehold_training.judge_text import declines, holds, loops, words


def item(text="Go", **expect):
    return {
        "id": "1",
        "row": "x",
        "messages": [{"role": "user", "content": text}],
        "expect": expect,
    }


def calling(*calls):
    functions = [{"name": name, "arguments": json.dumps(given)} for name, given in calls]
    return {"content": None, "tool_calls": [{"function": each} for each in functions]}


def saying(text):
    return {"content": text, "tool_calls": None}


def expected(*calls):
    return item(calls=[{"name": name, "arguments": given} for name, given in calls])


PARIS = ("weather", {"city": "Paris", "days": 3})
ROME = ("weather", {"city": "Rome", "days": 3})


def test_a_call_with_all_values_is_right():
    verdict = judge(expected(PARIS), calling(PARIS))
    assert (verdict.passed, verdict.right_tools) == (True, True)


def test_a_call_with_another_value_has_the_right_tool_only():
    verdict = judge(expected(PARIS), calling(ROME))
    assert (verdict.passed, verdict.right_tools) == (False, True)
    assert verdict.wrong == "weather with other arguments"


@pytest.mark.parametrize("answer", [calling(("time", {})), saying("Paris"), calling(PARIS, PARIS)])
def test_another_tool_none_or_one_too_many_is_the_wrong_tool(answer):
    verdict = judge(expected(PARIS), answer)
    assert (verdict.passed, verdict.right_tools) == (False, False)


def test_several_calls_are_right_in_any_order():
    assert judge(expected(PARIS, ROME), calling(ROME, PARIS)).passed
    assert not judge(expected(PARIS, ROME), calling(PARIS, PARIS)).passed


def test_arguments_that_are_no_json_are_wrong():
    answer = {"tool_calls": [{"function": {"name": "weather", "arguments": "{"}}]}
    assert judge(expected(PARIS), answer).wrong == "weather with other arguments"


@pytest.mark.parametrize(
    ("wanted", "given", "same"),
    [
        (3, 3.0, True),
        (3, "3", False),
        (True, 1, False),
        (" Paris", "Paris ", True),
        ("Paris", "paris", False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
        ([1, 2], [1, 2, 3], False),
    ],
)
def test_values_are_the_same_by_value(wanted, given, same):
    assert equal(wanted, given) is same


def test_no_call_wants_words_instead():
    assert judge(item(no_call=True), saying("Hello!")).passed
    assert not judge(item(no_call=True), saying("  ")).passed
    assert judge(item(no_call=True), calling(PARIS)).wrong == "called weather"


def test_json_is_compared_as_values():
    wanted = item(json={"name": "Ada", "age": 36})
    assert judge(wanted, saying('{"age": 36.0, "name": "Ada"}')).passed
    assert not judge(wanted, saying('{"age": 36, "name": "Ada L."}')).passed
    assert not judge(wanted, saying("Ada, 36")).passed


def test_every_entry_must_be_contained_in_one_of_its_wordings():
    wanted = item(contains=["Paris", ["1250", "one thousand"]])
    assert judge(wanted, saying("In PARIS: $1,250.00.")).passed
    assert judge(wanted, saying("Paris has one thousand.")).passed
    assert judge(wanted, saying("It is Paris.")).wrong == "lacks 1250"


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("It costs 1,250 euros", "1250", True),
        ("It costs 12500", "1250", False),
        ("at 3.50 each", "3.5", True),
        ("the New-York office", "new york", True),
        ("York is new", "new york", False),
        ("Café Zoë", "cafe zoe", True),
        ("particular", "art", False),
        ("10:30 a.m.", "10:30", True),
    ],
)
def test_words_are_compared_whole_and_without_dress(text, phrase, found):
    assert holds(text, phrase) is found


def test_numbers_are_words_by_value():
    assert words("10, 100 and 1.0") == ["10", "100", "and", "1"]


TEXT = "The shop in Lund opened in 1990. Who owns it?"


@pytest.mark.parametrize(
    "answer",
    [
        "The text does not say who owns it.",
        "The passage doesn\N{RIGHT SINGLE QUOTATION MARK}t mention that.",
        "That is not mentioned in the text.",
        "I'm sorry, but the owner is not given.",
        "There is no information about the owner of the shop in Lund.",
        "It cannot be determined from the text who owns the shop that opened in 1990.",
        "The text says nothing about that.",
        "I don't know: the text only says when it opened.",
        "Unknown.",
    ],
)
def test_saying_that_the_text_leaves_it_open_declines(answer):
    assert declines(answer, TEXT) is None


@pytest.mark.parametrize(
    "answer",
    [
        "The shop is owned by a family.",
        "It opened in 1990.",
        "The text does not say it, but probably the town.",
        "The text does not mention the owner. It is Maria Holm.",
        "It is not stated. It has 12 owners.",
        "",
    ],
)
def test_an_answer_or_a_guess_does_not_decline(answer):
    assert declines(answer, TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "I am a cat. You are a dog. I am a cat. Fine. I am a cat.",
        "1. Buy fresh milk\n2. Buy fresh milk\n3. Buy fresh milk",
        "and so it goes on " * 8,
        "no no no no no no",
        "ha" * 20,
    ],
)
def test_a_text_that_repeats_itself_loops(text):
    assert loops(text)


ORDINARY = (
    "The sun warms the sea, and the sea feeds the clouds. Rain falls on the hills and runs back "
    "to the sea in rivers. The round begins again every day of the year."
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes. Yes. Yes.",
        "1. Apples\n2. Pears\n3. Plums\n4. Figs\n5. Dates",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        ORDINARY,
        "................",
    ],
)
def test_an_ordinary_text_does_not_loop(text):
    assert loops(text) is None


def test_all_expectations_must_hold():
    wanted = item(no_call=True, contains=["Paris"])
    assert judge(wanted, saying("Paris")).passed
    assert not judge(wanted, calling(PARIS)).passed


def test_an_unknown_expectation_is_an_error():
    with pytest.raises(KeyError, match="contians"):
        judge(item(contians=["x"]), saying("x"))
