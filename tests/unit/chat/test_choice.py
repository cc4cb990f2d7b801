import pytest

from freehold.core.errors import InternalServerError
from freehold.engines.base import Done, TextDelta, ToolCallDelta
from freehold.resources.chat.choice import CallPiece, Choice, Promise


def done(reason="stop"):
    return Done(reason, prompt_tokens=3, completion_tokens=2)


def call(index, arguments, name=None):
    return ToolCallDelta(index, arguments, name)


def test_finish_reason_is_tool_calls_only_where_there_are_calls():
    choice = Choice(0, Promise())
    choice.feed([TextDelta("no"), done("tool_calls")])
    assert choice.finish_reason == "stop"
    choice = Choice(0, Promise())
    choice.feed([call(0, "{}", "f"), done("tool_calls")])
    assert choice.finish_reason == "tool_calls"


def test_a_call_keeps_its_id_and_gathers_its_arguments():
    choice = Choice(0, Promise())
    pieces = choice.feed([call(0, '{"a"', "f"), call(0, ": 1}"), call(1, "{}", "g"), done()])
    assert [p.index for p in pieces if isinstance(p, CallPiece)] == [0, 0, 1]
    assert [p.call is not None for p in pieces if isinstance(p, CallPiece)] == [True, False, True]
    assert [c.arguments for c in choice.calls] == ['{"a": 1}', "{}"]
    assert len({c.id for c in choice.calls}) == 2


def test_a_second_call_is_cut_where_one_was_allowed():
    choice = Choice(0, Promise(parallel=False))
    choice.feed([call(0, "{}", "f"), call(1, "{}", "f")])
    assert choice.complete
    assert len(choice.calls) == 1
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("promise", "events"),
    [
        (Promise(required=True), [TextDelta("prose"), done()]),
        (Promise(named=True), [TextDelta("prose"), done()]),
        (Promise(schema={"type": "object"}), [TextDelta("not json"), done()]),
        (Promise(schema={"type": "object", "required": ["a"]}), [TextDelta("{}"), done()]),
        (Promise(), [call(0, "{", "f"), done("tool_calls")]),
        (
            Promise(arguments={"f": {"type": "object", "required": ["a"]}}),
            [call(0, "{}", "f"), done("tool_calls")],
        ),
    ],
)
def test_an_answer_that_breaks_its_promise_is_not_a_success(promise, events):
    choice = Choice(0, promise)
    choice.feed(events)
    with pytest.raises(InternalServerError):
        choice.check()


def test_an_answer_cut_short_says_length_and_is_not_validated():
    choice = Choice(0, Promise(schema={"type": "object"}))
    choice.feed([TextDelta('{"a'), done("length")])
    choice.check()
    assert choice.finish_reason == "length"
