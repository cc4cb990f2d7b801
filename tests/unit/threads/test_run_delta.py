"""Deltas that are put together, and what of an object they have not told."""

import pytest

from freehold.resources.threads import run_delta

NOTE = {"type": "file_path", "text": "x", "start_index": 0, "end_index": 1}
MESSAGE = [
    {"type": "image_file", "image_file": {"file_id": "file-1"}},
    {"type": "text", "text": {"value": "Hello there", "annotations": [NOTE, NOTE]}},
]
SEARCH = {"id": "call_1", "type": "file_search", "file_search": {"results": [{"content": [1]}]}}
CODE = {
    "id": "call_2",
    "type": "code_interpreter",
    "code_interpreter": {"input": "1 + 1", "outputs": [{"type": "logs", "logs": "2\n"}]},
}
STEP = {"type": "tool_calls", "tool_calls": [SEARCH, CODE]}


def text(value, **fields):
    return {"content": [{"index": 1, "type": "text", "text": {"value": value, **fields}}]}


def test_of_what_was_not_told_all_is_left():
    whole = run_delta.of_message(MESSAGE)

    assert run_delta.rest({}, whole) == whole
    assert [part["index"] for part in whole["content"]] == [0, 1]


def test_text_goes_on_where_it_was():
    told = {}
    for piece in ("Hel", "lo"):
        run_delta.join(told, text(piece))

    left = run_delta.rest(told, run_delta.of_message(MESSAGE))

    notes = [{"index": 0, **NOTE}, {"index": 1, **NOTE}]
    assert left["content"][1] == text(" there", annotations=notes)["content"][0]


def test_only_new_annotations_are_left():
    told = {}
    run_delta.join(told, run_delta.of_message(MESSAGE[:1]))
    run_delta.join(told, text("Hello there", annotations=[{"index": 0, **NOTE}]))

    left = run_delta.rest(told, run_delta.of_message(MESSAGE))

    [part] = left["content"]
    assert part["text"] == {"annotations": [{"index": 1, **NOTE}]}


def test_nothing_is_left_of_what_was_told_whole():
    told = {}
    run_delta.join(told, run_delta.of_step(STEP))

    assert run_delta.rest(told, run_delta.of_step(STEP)) == {}


def test_results_and_outputs_come_to_calls_that_were_told():
    told = {}
    begun = {**STEP, "tool_calls": [{**SEARCH, "file_search": {}}, {**CODE}]}
    begun["tool_calls"][1] |= {"code_interpreter": {"input": "1 +", "outputs": []}}
    run_delta.join(told, run_delta.of_step(begun))

    left = run_delta.rest(told, run_delta.of_step(STEP))

    search, code = left["step_details"]["tool_calls"]
    assert search["file_search"] == SEARCH["file_search"]
    outputs = [{"index": 0, "type": "logs", "logs": "2\n"}]
    assert code["code_interpreter"] == {"input": " 1", "outputs": outputs}


def test_what_was_told_stays_what_it_is():
    told, delta = {}, text("Hel")
    run_delta.join(told, delta)
    run_delta.join(told, text("lo"))

    assert delta == text("Hel")


@pytest.mark.parametrize("told", [text("Goodbye"), text("Hello there!")])
def test_other_text_is_no_beginning(told):
    with pytest.raises(run_delta.NotItsBeginningError):
        run_delta.rest(told, run_delta.of_message(MESSAGE))


def test_message_step_has_no_deltas():
    details = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}

    assert run_delta.of_step(details) == {}
