"""The tools that the server runs: file search with its citations, and the code interpreter."""

import asyncio
import json
from pathlib import Path

import pytest

from freehold.resources.threads import tool_search
from runs import WEATHER

TEXT = (
    "The lighthouse of Varde was built in 1887 by the engineer Marta Holm. "
    "Its lamp is seen from nineteen miles away. Visitors may climb it on Sundays."
)


async def uploaded(api, name, data, purpose="assistants"):
    answer = await api.server.client.post(
        "/v1/files", files={"file": (name, data)}, data={"purpose": purpose}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def searchable(api, name="varde.txt", text=TEXT):
    """Return a vector store with one file, and the file."""
    file_id = await uploaded(api, name, text.encode())
    store = await api.post("/vector_stores", file_ids=[file_id])
    async with asyncio.timeout(60):
        while (await api.get(f"/vector_stores/{store['id']}"))["file_counts"]["completed"] < 1:
            await asyncio.sleep(0.05)
    return store["id"], file_id


def search(*queries):
    return {"name": "file_search", "arguments": json.dumps({"queries": queries})}


def code(text):
    return {"name": "code_interpreter", "arguments": json.dumps({"code": text})}


SEARCHING = [{"type": "file_search"}]
CODING = [{"type": "code_interpreter"}]


async def test_answer_from_a_file_is_cited(house):
    api = await house(
        {"tool_calls": [search("Who built the lighthouse?")]},
        {"text": "The lighthouse was built by Marta Holm. I like it."},
    )
    store, file_id = await searchable(api)

    run = await api.run(
        "Who built the lighthouse of Varde?",
        tools=SEARCHING,
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )

    assert run["status"] == "completed", run["last_error"]
    text = (await api.messages(run["thread_id"]))[-1]["content"][0]["text"]
    assert text["value"] == ("The lighthouse was built by Marta Holm.【1:0†varde.txt】 I like it.")
    [annotation] = text["annotations"]
    assert annotation["file_citation"] == {"file_id": file_id}
    start, end = annotation["start_index"], annotation["end_index"]
    assert text["value"][start:end] == annotation["text"] == "【1:0†varde.txt】"


async def test_results_of_a_search_are_shown_on_demand(house):
    api = await house({"tool_calls": [search("lighthouse")]}, {"text": "Yes."})
    store, file_id = await searchable(api)
    run = await api.run(
        "Who?",
        tools=SEARCHING,
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )

    include = "&include[]=step_details.tool_calls[*].file_search.results[*].content"
    plain = (await api.steps(run))[0]["step_details"]["tool_calls"][0]["file_search"]
    full = (await api.steps(run, include))[0]["step_details"]["tool_calls"][0]["file_search"]

    assert [found["file_id"] for found in plain["results"]] == [file_id]
    assert "content" not in plain["results"][0]
    assert "1887" in full["results"][0]["content"][0]["text"]
    assert full["ranking_options"] == {"ranker": "default_2024_08_21", "score_threshold": 0.0}


async def test_code_runs_and_its_output_is_shown(house):
    api = await house({"tool_calls": [code("x = 6 * 7\nprint(x)")]}, {"text": "It is 42."})

    run = await api.run("What is six times seven?", tools=CODING)

    assert run["status"] == "completed", run["last_error"]
    called, _ = await api.steps(run)
    [call] = called["step_details"]["tool_calls"]
    assert call["code_interpreter"] == {
        "input": "x = 6 * 7\nprint(x)",
        "outputs": [{"type": "logs", "logs": "42\n"}],
    }
    told = api.engine().requests[-1].prompt.messages[-1]
    assert (told.role, told.content) == ("tool", "42\n")


async def test_error_of_code_is_shown_and_the_run_goes_on(house):
    api = await house({"tool_calls": [code("1 / 0")]}, {"text": "That can't be divided."})

    run = await api.run("Divide", tools=CODING)

    assert run["status"] == "completed"
    outputs = (await api.steps(run))[0]["step_details"]["tool_calls"][0]["code_interpreter"]
    assert "ZeroDivisionError" in outputs["outputs"][0]["logs"]
    assert await api.said(run["thread_id"]) == "That can't be divided."


async def test_files_of_the_code_are_given_and_named(house):
    made = "open('/mnt/data/sum.txt', 'w').write(str(sum(map(int, open('/mnt/data/in.csv')))))"
    api = await house(
        {"tool_calls": [code(made)]}, {"text": "Here: sandbox:/mnt/data/sum.txt for you."}
    )
    file_id = await uploaded(api, "in.csv", b"1\n2\n3\n")

    run = await api.run(
        "Sum it", tools=CODING, tool_resources={"code_interpreter": {"file_ids": [file_id]}}
    )

    assert run["status"] == "completed", run["last_error"]
    text = (await api.messages(run["thread_id"]))[-1]["content"][0]["text"]
    [annotation] = text["annotations"]
    assert annotation["type"] == "file_path"
    start, end = annotation["start_index"], annotation["end_index"]
    assert text["value"][start:end] == "sandbox:/mnt/data/sum.txt"
    made = annotation["file_path"]["file_id"]
    assert (await api.server.client.client.get(f"/v1/files/{made}/content")).text == "6"


DRAWING = """
class Dot:
    def _repr_png_(self):
        return b"\\x89PNG dot"

print("before")
display(Dot())
print("after")
"""


async def test_pictures_of_the_code_are_outputs_and_begin_the_answer(house):
    api = await house({"tool_calls": [code(DRAWING)]}, {"text": "A dot."})

    events = await api.stream_run("Draw a dot", tools=CODING)

    [message] = [e["data"] for e in events if e["event"] == "thread.message.completed"]
    [step, _] = [e["data"] for e in events if e["event"] == "thread.run.step.completed"]
    outputs = step["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert [output["type"] for output in outputs] == ["logs", "image", "logs"]
    picture = outputs[1]["image"]["file_id"]
    assert message["content"][0] == {"type": "image_file", "image_file": {"file_id": picture}}
    assert message["content"][1]["text"]["value"] == "A dot."
    shown = [
        part
        for event in events
        if event["event"] == "thread.message.delta"
        for part in event["data"]["delta"]["content"]
    ]
    assert shown[0] == {"index": 0, **message["content"][0]}
    assert {part["index"] for part in shown[1:]} == {1}
    content = await api.server.client.client.get(f"/v1/files/{picture}/content")
    assert content.content == b"\x89PNG dot"
    assert (await api.get(f"/files/{picture}"))["purpose"] == "assistants_output"


async def test_session_that_reached_a_limit_is_told_and_the_run_goes_on(house):
    endless = code("kept = 1\nwhile True: pass")
    api = await house(
        {"tool_calls": [endless]},
        {"tool_calls": [code("print('kept' in globals(), open('/mnt/data/in.csv').read())")]},
        {"text": "It took too long."},
        interpreter={"wall_s": 0.3},
    )
    file_id = await uploaded(api, "in.csv", b"1")

    run = await api.run(
        "Count", tools=CODING, tool_resources={"code_interpreter": {"file_ids": [file_id]}}
    )

    assert run["status"] == "completed", run["last_error"]
    first, second, _ = await api.steps(run)
    [said] = first["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert said["logs"] == "The session was ended: a call took longer than 0.3 s."
    [said] = second["step_details"]["tool_calls"][0]["code_interpreter"]["outputs"]
    assert said["logs"].endswith("False 1\n")


async def test_session_ends_with_its_thread(house):
    api = await house({"tool_calls": [code("print(1)")]}, {"text": "One."})
    run = await api.run("One", tools=CODING)
    session = await api.server.server.api.services.sandboxes.session(run["thread_id"])
    processes = session.life.jailed.family()

    await api.server.client.delete(f"/v1/threads/{run['thread_id']}")

    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


async def test_our_tools_are_called_before_the_caller_is_asked(house):
    call = {"name": "weather", "arguments": "{}"}
    api = await house({"tool_calls": [call, code("print(1)")]}, {"text": "Both."})

    waiting = await api.run("Both", tools=[WEATHER, *CODING])
    [asked] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    [step] = await api.steps(waiting)
    run = await api.settled(await api.submit(waiting, "sun"))

    assert asked["function"]["name"] == "weather"
    assert step["step_details"]["tool_calls"][1]["code_interpreter"]["outputs"][0]["logs"] == "1\n"
    assert run["status"] == "completed"


async def test_deltas_add_up_to_the_code_and_its_output(house):
    text = "for n in range(3):\n    print('µ\\t', n)"
    api = await house({"tool_calls": [code(text)]}, {"text": "Done."})

    events = await api.stream_run("Count", tools=CODING)

    deltas = [
        call["code_interpreter"]
        for event in events
        if event["event"] == "thread.run.step.delta"
        for call in event["data"]["delta"]["step_details"]["tool_calls"]
    ]
    assert "".join(delta.get("input", "") for delta in deltas) == text
    logs = [out["logs"] for delta in deltas for out in delta.get("outputs", ())]
    final = next(
        event["data"]["step_details"]["tool_calls"][0]["code_interpreter"]
        for event in events
        if event["event"] == "thread.run.step.completed"
    )
    assert "".join(logs) == final["outputs"][0]["logs"]


@pytest.fixture
def weak(monkeypatch):
    """Have the catalogue call the scripted model weak."""
    monkeypatch.setattr(tool_search, "useful_context", lambda _: 500)


async def test_question_of_a_weak_model_is_searched_for_first(house, weak):
    api = await house({"text": "Marta Holm built the lighthouse."})
    store, _ = await searchable(api)

    run = await api.run(
        "Who built the lighthouse of Varde?",
        tools=SEARCHING,
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )

    assert [step["type"] for step in await api.steps(run)] == ["tool_calls", "message_creation"]
    prompt = api.engine().requests[-1].prompt
    assert prompt.tools == ()
    [asked] = [message.content for message in prompt.messages]
    assert "built in 1887 by the engineer Marta Holm" in asked
    assert asked.endswith("Question: Who built the lighthouse of Varde?")
    assert "【1:0†varde.txt】" in await api.said(run["thread_id"])


async def test_code_that_a_weak_model_writes_is_run(house, weak):
    api = await house({"text": "Like this:\n```python\nprint(37 * 91)\n```"}, {"text": "3367."})

    run = await api.run("What is 37 * 91?", tools=CODING)

    kinds = [step["type"] for step in await api.steps(run)]
    assert kinds == ["message_creation", "tool_calls", "message_creation"]
    [call] = (await api.steps(run))[1]["step_details"]["tool_calls"]
    assert call["code_interpreter"]["input"] == "print(37 * 91)"
    assert call["code_interpreter"]["outputs"] == [{"type": "logs", "logs": "3367\n"}]
    assert api.engine().requests[-1].prompt.messages[-1].content == "3367\n"
    assert await api.said(run["thread_id"]) == "3367."
