import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.base import Done, TextDelta, TokenLogprob, ToolCallDelta
from freehold.engines.toolcalls import ToolCallParser, merge

DONE = Done("stop", 5, 7)
ARGUMENTS = ['{"city": "Paris"}', "{}", '{"a": "}\\"{</tool_call>", "b": [1, {"c": null}]}']


def written(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def events_of(pieces, done=DONE):
    parser = ToolCallParser()
    fed = [event for piece in pieces for event in parser.feed(TextDelta(piece))]
    return [*fed, *parser.finish(done)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(events):
    calls = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            if event.name is not None:
                assert event.index == len(calls)
                calls.append([event.name, ""])
            calls[event.index][1] += event.arguments
    return [tuple(call) for call in calls]


@given(st.lists(st.integers(1, 6), min_size=1), st.sampled_from(ARGUMENTS), st.text(max_size=9))
def test_calls_are_found_wherever_the_text_is_split(sizes, arguments, words):
    words = words.replace("<", "")
    answer = words + "\n" + written("f", arguments) + "\n" + written("g", "{}")
    pieces = []
    while answer:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(answer[:size])
        answer = answer[size:]
    events = events_of(pieces)
    assert text_of(events) == words.rstrip()
    assert calls_of(events) == [("f", arguments), ("g", "{}")]
    assert events[-1].reason == "tool_calls"


@given(st.text(alphabet="<tool_cal>/ \n", max_size=40))
def test_text_without_an_opener_passes_unchanged(text):
    text = text.replace("<tool_call>", "")
    events = events_of(list(text))
    assert text_of(events) == text
    assert events[-1] is DONE


def test_name_comes_with_the_first_piece_only():
    events = events_of(list(written("f", '{"a": 1}')))
    names = [event.name for event in events if isinstance(event, ToolCallDelta)]
    assert names[0] == "f"
    assert set(names[1:]) == {None}


def test_text_is_not_held_back_for_long():
    assert ToolCallParser().feed(TextDelta("Hello")) == [TextDelta("Hello")]


def test_tokens_and_logprobs_of_held_text_come_with_it():
    parser = ToolCallParser()
    first, second = (TokenLogprob(text, text.encode(), -1.0) for text in ("<to", "ad"))
    assert parser.feed(TextDelta("<to", 1, (first,))) == []
    assert parser.feed(TextDelta("ad", 2, (second,))) == [TextDelta("<toad", 3, (first, second))]


def test_other_order_of_keys_is_understood():
    body = '<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>'
    (name, arguments), *more = calls_of(events_of([body]))
    assert (name, json.loads(arguments), more) == ("f", {"a": 1}, [])


def test_cut_call_keeps_its_reason():
    events = events_of(['<tool_call>\n{"name": "f", "arguments": {"a'], Done("length", 1, 9))
    assert calls_of(events) == [("f", '{"a')]
    assert events[-1].reason == "length"


@pytest.mark.parametrize("body", ["nonsense", '{"name": 3}', "[1]"])
def test_broken_call_shows_neither_text_nor_call(body):
    events = events_of([f"<tool_call>{body}</tool_call>"])
    assert events == [DONE]


def test_pieces_of_one_group_are_joined():
    pieces = [ToolCallDelta(0, "{", "f"), ToolCallDelta(0, '"a"'), ToolCallDelta(1, "{}", "g")]
    assert merge(pieces) == [ToolCallDelta(0, '{"a"', "f"), ToolCallDelta(1, "{}", "g")]
