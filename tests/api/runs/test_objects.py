"""Runs and steps as objects: overrides, lists, metadata, and what is refused."""

import asyncio

import pytest

from drawn import drawn
from runs import DATE, WEATHER


async def test_run_takes_the_assistants_settings(house):
    api = await house({"text": "ok"})

    run = await api.run("Hi", instructions="Be kind.", tools=[WEATHER])

    assert run["instructions"] == "Be kind."
    assert run["tools"] == [WEATHER]
    assert run["model"] == "gpt-4o"
    assert (run["temperature"], run["top_p"]) == (1.0, 1.0)
    assert run["tool_choice"] == run["response_format"] == "auto"
    assert run["parallel_tool_calls"] is True
    assert run["truncation_strategy"] == {"type": "auto", "last_messages": None}
    assert run["expires_at"] is None
    assert run["started_at"] >= run["created_at"]


async def test_each_setting_can_be_overridden(house):
    api = await house({"text": '{"a": 1}'})
    given = {
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "top_p": 0.5,
        "max_prompt_tokens": 2000,
        "max_completion_tokens": 300,
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "metadata": {"a": "b"},
    }
    begun = {**given, "instructions": "Answer in JSON."}
    assistant, thread = await api.assistant(instructions="Be kind."), await api.thread("Hi")

    run = await api.settled(
        await api.post(
            f"/threads/{thread}/runs",
            assistant_id=assistant,
            additional_instructions="And short.",
            additional_messages=[{"role": "user", "content": "Now."}],
            tools=[DATE],
            **begun,
        )
    )

    assert {name: run[name] for name in given} == given
    assert run["instructions"] == "Answer in JSON.\nAnd short."
    request = api.engine().requests[-1]
    said = [message.content for message in request.prompt.messages]
    assert said == ["Answer in JSON.\nAnd short.", "Hi", "Now."]
    assert request.prompt.tools == ()
    assert (request.sampling.temperature, request.sampling.top_p) == (0.2, 0.5)
    assert request.schema == {"type": "object"}


@pytest.mark.parametrize(
    ("choice", "engine"),
    [
        ("required", "required"),
        ({"type": "function", "function": {"name": "weather"}}, "weather"),
    ],
)
async def test_forced_call_is_due_once(house, choice, engine):
    api = await house({"tool_calls": [{"name": "weather"}]}, {"text": "Sunny"})

    waiting = await api.run(tools=[WEATHER], tool_choice=choice)
    run = await api.settled(await api.submit(waiting, "sun"))

    assert run["status"] == "completed"
    assert [request.prompt.tool_choice for request in api.engine().requests] == [engine, "auto"]


async def test_runs_and_steps_are_listed_in_one_order(house):
    api = await house()
    thread = await api.thread("Hi")
    ids = []
    for _ in range(3):
        run = await api.begun(thread=thread)
        await api.settled(run)
        ids.append(run["id"])

    path = f"/threads/{thread}/runs"
    newest = await api.get(path)
    first = await api.get(f"{path}?limit=2&order=asc")
    rest = await api.get(f"{path}?order=asc&after={first['last_id']}")
    before = await api.get(f"{path}?order=asc&before={ids[2]}&limit=1")

    assert [run["id"] for run in newest["data"]] == ids[::-1]
    assert ([run["id"] for run in first["data"]], first["has_more"]) == (ids[:2], True)
    assert ([run["id"] for run in rest["data"]], rest["has_more"]) == (ids[2:], False)
    assert [run["id"] for run in before["data"]] == [ids[1]]
    made = await api.get(f"/threads/{thread}/messages?run_id={ids[1]}")
    assert {message["run_id"] for message in made["data"]} == {ids[1]}


async def test_metadata_is_replaced(house):
    api = await house({"text": "ok"})
    run = await api.run(metadata={"a": "1"})
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"

    assert (await api.post(path, metadata={"b": "2"}))["metadata"] == {"b": "2"}
    assert (await api.post(path))["metadata"] == {"b": "2"}


async def test_what_is_not_there_is_not_found(house):
    api = await house({"text": "ok"})
    run = await api.run()
    thread = f"/v1/threads/{run['thread_id']}"
    for path, message in [
        (f"{thread}/runs/run_none", "No run found with id 'run_none'."),
        (f"{thread}/runs/{run['id']}/steps/step_none", "No run step found with id 'step_none'."),
        (f"/v1/threads/thread_none/runs/{run['id']}", "No thread found with id 'thread_none'."),
    ]:
        answer = await api.server.client.get(path)
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, message)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_prompt_tokens": 255}, "max_prompt_tokens"),
        ({"max_prompt_tokens": 2**63}, "max_prompt_tokens"),
        ({"max_completion_tokens": 2**63}, "max_completion_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    ],
)
async def test_wrong_field_is_named(house, fields, param):
    api = await house()
    assistant, thread = await api.assistant(), await api.thread()

    error = await api.refused(f"/threads/{thread}/runs", assistant_id=assistant, **fields)

    assert error["param"] == param
    assert (await api.get(f"/threads/{thread}/runs"))["data"] == []


async def test_null_inside_an_override_counts_as_left_out(house):
    api = await house({"text": "ok"})

    given = {
        "assistant_id": await api.assistant(),
        "tools": [{"type": "file_search", "file_search": None}, {"type": "code_interpreter"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": None}},
        "tool_choice": {"type": "code_interpreter", "function": None},
    }
    path = f"/threads/{await api.thread()}/runs"
    begun = (await api.server.client.client.post(f"/v1{path}", json=given)).json()
    run = await api.get(f"{path}/{begun['id']}")

    assert run["tools"] == [{"type": "file_search"}, {"type": "code_interpreter"}]
    assert run["response_format"]["json_schema"] == {"name": "s"}
    assert run["tool_choice"] == {"type": "code_interpreter"}


async def test_unknown_model_and_assistant_are_not_found(house):
    api = await house()
    assistant, thread = await api.assistant(), await api.thread()
    path = f"/threads/{thread}/runs"

    model = await api.refused(path, 404, assistant_id=assistant, model="gpt-none")
    nobody = await api.refused(path, 404, assistant_id="asst_none")

    assert model["code"] == "model_not_found"
    assert nobody["message"] == "No assistant found with id 'asst_none'."


async def test_fifty_runs_at_once_are_completed(house):
    api = await house()
    assistant = await api.assistant()
    threads = [await api.thread(f"Number {n}") for n in range(50)]

    made = await asyncio.gather(
        *(api.post(f"/threads/{thread}/runs", assistant_id=assistant) for thread in threads)
    )
    ended = [await api.settled(run) for run in made]

    assert {run["status"] for run in ended} == {"completed"}
    assert [await api.said(thread) for thread in threads] == [f"Number {n}" for n in range(50)]


@pytest.mark.parametrize("kind", ["png", "jpeg"])
async def test_picture_of_a_message_reaches_an_engine_that_sees(house, kind):
    api = await house({"text": "ok"}, {"text": "A dot"})
    await api.run("load the engine")
    api.engine().sees = True
    dot = drawn("red", size=(8, 8), format=kind)
    files = {"file": (f"dot.{kind}", dot)}
    sent = await api.server.client.post("/v1/files", files=files, data={"purpose": "vision"})
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_file", "image_file": {"file_id": sent.json()["id"]}},
    ]
    thread = (await api.post("/threads", messages=[{"role": "user", "content": parts}]))["id"]

    run = await api.run(thread=thread)

    assert run["status"] == "completed", run["last_error"]
    [message] = api.engine().requests[-1].prompt.messages
    assert [(image.data, image.format) for image in message.images] == [(dot, kind)]


@pytest.mark.parametrize(
    ("own", "given", "asked", "shown"),
    [
        ({}, {}, (1, None), (1, 1)),  # the scripted model draws at 1
        ({"temperature": 0.2}, {}, (0.2, None), (0.2, 1)),
        ({"temperature": 0.2, "top_p": 0.3}, {"temperature": 1}, (1, 0.3), (1, 0.3)),
        ({}, {"temperature": 1, "top_p": 1}, (1, 1), (1, 1)),
    ],
)
async def test_sampling_is_the_runs_then_the_assistants_then_the_models(
    house, own, given, asked, shown
):
    api = await house({"text": "ok"})
    assistant = (await api.post("/assistants", model="gpt-4o", **own))["id"]
    thread = await api.thread("Hi")

    begun = await api.post(f"/threads/{thread}/runs", assistant_id=assistant, **given)
    run = await api.settled(begun)

    assert (run["temperature"], run["top_p"]) == shown
    sampling = api.engine().requests[-1].sampling
    assert (sampling.temperature, sampling.top_p) == asked
