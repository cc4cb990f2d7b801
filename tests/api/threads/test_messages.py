"""Messages: added with parts and files, listed, changed and deleted."""

import re

import pytest
import pytest_asyncio

from freehold.core import clock
from freehold.resources.threads import messages, store
from keeping import listed_by, made, refused, uploaded

HELLO = {"role": "user", "content": "Hello"}


@pytest_asyncio.fixture
async def thread(api):
    """Return the path of a new thread."""
    return f"/v1/threads/{(await made(api, '/v1/threads'))['id']}"


@pytest_asyncio.fixture(scope="session")
async def standing(shared):
    """Return the path of the messages of a thread for tests that leave no trace in it."""
    return f"/v1/threads/{(await made(shared, '/v1/threads'))['id']}/messages"


def unit(api, work):
    return api.server.api.services.database.write(work)


async def test_message_is_complete_at_once(api, thread):
    message = await made(api, f"{thread}/messages", **HELLO)
    assert re.fullmatch(r"msg_\w{24}", message["id"])
    assert message["created_at"] == message["completed_at"]
    assert abs(message["created_at"] - clock.now()) <= 5
    assert message | {"id": "", "created_at": 0, "completed_at": 0} == {
        "id": "",
        "object": "thread.message",
        "created_at": 0,
        "thread_id": thread.removeprefix("/v1/threads/"),
        "status": "completed",
        "incomplete_details": None,
        "completed_at": 0,
        "incomplete_at": None,
        "role": "user",
        "content": [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }
    assert (await api.client.get(f"{thread}/messages/{message['id']}")).json() == message


async def test_parts_and_attachments_are_kept(api, thread):
    picture = await uploaded(api, b"picture", "a.png", "vision")
    notes = await uploaded(api)
    attachments = [{"file_id": notes["id"], "tools": [{"type": "code_interpreter"}]}]
    text = "a\0b \U0001f600"
    message = await made(
        api,
        f"{thread}/messages",
        role="assistant",
        content=[
            {"type": "text", "text": text},
            {"type": "image_file", "image_file": {"file_id": picture["id"]}},
            {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
        ],
        attachments=attachments,
        metadata={"k": "v"},
    )
    assert message["content"] == [
        {"type": "text", "text": {"value": text, "annotations": []}},
        {"type": "image_file", "image_file": {"file_id": picture["id"], "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
    ]
    assert (message["attachments"], message["metadata"]) == (attachments, {"k": "v"})
    resources = (await api.client.get(thread)).json()["tool_resources"]
    assert resources == {"code_interpreter": {"file_ids": [notes["id"]]}}


async def test_attachment_without_tools_shows_none(api, thread):
    file = await uploaded(api)
    path, alone = f"{thread}/messages", {"file_id": file["id"]}
    for attachment in (alone, {**alone, "tools": None}):
        body = {**HELLO, "attachments": [attachment]}
        message = (await api.client.client.post(path, json=body)).json()
        assert (await api.client.get(f"{path}/{message['id']}")).json() == message
        assert message["attachments"] == [alone]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"content": ""}, 400, "content"),
        ({"content": []}, 400, "content"),
        ({"content": "c" * 256_001}, 400, "content"),
        ({"content": [{"type": "text", "text": ""}]}, 400, "content[0].text"),
        ({"content": [{"type": "input_audio"}]}, 400, "content[0].type"),
        ({"content": 1}, 400, "content"),
        ({"role": "tool"}, 400, "role"),
        (
            {
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
                ]
            },
            400,
            "content[0].image_url.url",
        ),
        (
            {"content": [{"type": "image_url", "image_url": {"url": "http://[x"}}]},
            400,
            "content[0].image_url.url",
        ),
        (
            {"content": [{"type": "image_file", "image_file": {"file_id": "file-x"}}]},
            404,
            "content[0].image_file.file_id",
        ),
        ({"attachments": [{"tools": []}]}, 400, "attachments[0].file_id"),
        (
            {"attachments": [{"file_id": "file-x", "tools": [{"type": "function"}]}]},
            400,
            "attachments[0].tools[0].type",
        ),
        ({"attachments": [{"file_id": "file-x", "tools": []}]}, 404, "attachments[0].file_id"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
    ],
)
async def test_what_can_not_be_said_is_refused(shared, standing, fields, status, param):
    error = await refused(shared, standing, status=status, **{**HELLO, **fields})
    assert error["param"] == param
    assert (await shared.client.get(standing)).json()["data"] == []


async def test_longest_text_is_taken(api, thread):
    message = await made(api, f"{thread}/messages", role="user", content="c" * 256_000)
    assert len(message["content"][0]["text"]["value"]) == 256_000


async def test_messages_are_listed_between_cursors_newest_first(api, thread):
    path = f"{thread}/messages"
    await listed_by(api, path, [(await made(api, path, **HELLO))["id"] for _ in range(5)])


async def test_unknown_cursor_is_named(api, thread):
    other = await made(api, "/v1/threads", messages=[HELLO])
    listed = (await api.client.get(f"/v1/threads/{other['id']}/messages")).json()
    for param in ("after", "before"):
        answer = await api.client.get(f"{thread}/messages?{param}={listed['first_id']}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, param)


async def test_metadata_is_all_that_changes(api, thread):
    message = await made(api, f"{thread}/messages", **HELLO, metadata={"a": "b"})
    path = f"{thread}/messages/{message['id']}"
    assert await made(api, path) == message
    assert await made(api, path, metadata={"c": "d"}) == message | {"metadata": {"c": "d"}}
    assert await made(api, path, metadata=None) == message | {"metadata": {}}
    assert (await refused(api, path, content="new"))["message"].startswith("Unrecognized request")


async def test_deleted_message_is_gone_and_the_others_stay(api, thread):
    path = f"{thread}/messages"
    first, second, third = [(await made(api, path, **HELLO))["id"] for _ in range(3)]
    answer = await api.client.delete(f"{path}/{second}")
    assert answer.json() == {"id": second, "object": "thread.message.deleted", "deleted": True}
    for answer in (
        await api.client.get(f"{path}/{second}"),
        await api.client.post(f"{path}/{second}", json={}),
        await api.client.delete(f"{path}/{second}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"No message found with id '{second}'."
    listed = (await api.client.get(path)).json()["data"]
    assert [one["id"] for one in listed] == [third, first]


async def test_message_is_found_in_its_own_thread_only(api, thread):
    message = await made(api, f"{thread}/messages", **HELLO)
    other = await made(api, "/v1/threads")
    answer = await api.client.get(f"/v1/threads/{other['id']}/messages/{message['id']}")
    assert answer.status_code == 404


async def test_thread_takes_no_message_while_a_run_is_active(api, thread):
    thread_id = thread.removeprefix("/v1/threads/")
    assert await unit(api, lambda c: store.begin_run(c, thread_id, "run_a"))
    assert not await unit(api, lambda c: store.begin_run(c, thread_id, "run_b"))
    error = await refused(api, f"{thread}/messages", **HELLO)
    told = f"Can't add messages to {thread_id} while a run run_a is active."
    assert (error["message"], error["type"]) == (told, "invalid_request_error")
    await unit(api, lambda c: store.end_run(c, thread_id, "run_b"))
    await refused(api, f"{thread}/messages", **HELLO)
    await unit(api, lambda c: store.end_run(c, thread_id, "run_a"))
    await made(api, f"{thread}/messages", **HELLO)


async def test_answers_of_runs_are_seen_while_they_grow_and_by_their_run(api, thread):
    thread_id = thread.removeprefix("/v1/threads/")
    await made(api, f"{thread}/messages", **HELLO)
    whole, broken = (
        messages.begun(thread_id, assistant_id="asst_a", run_id=run) for run in ("run_a", "run_b")
    )
    await unit(api, lambda c: store.add_messages(c, [whole, broken]))
    path = f"{thread}/messages/{whole['id']}"
    growing = (await api.client.get(path)).json()
    assert (growing["status"], growing["content"]) == ("in_progress", [])
    assert (growing["completed_at"], growing["assistant_id"]) == (None, "asst_a")
    cited = {
        "type": "file_citation",
        "text": "【4:0†a.pdf】",
        "file_citation": {"file_id": "file-a"},
        "start_index": 3,
        "end_index": 13,
    }
    path_of = {"type": "file_path", "text": "/a", "file_path": {"file_id": "file-b"}}
    named = path_of | {"start_index": 0, "end_index": 2}
    content = [
        {"type": "image_file", "image_file": {"file_id": "file-c"}},
        {"type": "text", "text": {"value": "/a 【4:0†a.pdf】", "annotations": [cited, named]}},
    ]
    assert await unit(api, lambda c: messages.complete(c, whole["id"], content))
    done = (await api.client.get(path)).json()
    assert (done["status"], done["content"]) == ("completed", content)
    assert done["completed_at"] >= done["created_at"]
    part = [{"type": "text", "text": {"value": "Hel", "annotations": []}}]
    assert await unit(api, lambda c: messages.break_off(c, broken["id"], part, "max_tokens"))
    listed = (await api.client.get(f"{thread}/messages?run_id=run_b")).json()["data"]
    assert [one["id"] for one in listed] == [broken["id"]]
    assert listed[0]["incomplete_details"] == {"reason": "max_tokens"}
    assert (listed[0]["status"], listed[0]["content"]) == ("incomplete", part)
    assert listed[0]["incomplete_at"] is not None


async def test_writing_to_a_deleted_message_is_told(api, thread):
    row = messages.begun(thread.removeprefix("/v1/threads/"), assistant_id="a", run_id="r")
    await unit(api, lambda c: store.add_messages(c, [row]))
    await api.client.delete(f"{thread}/messages/{row['id']}")
    assert not await unit(api, lambda c: messages.complete(c, row["id"], []))
