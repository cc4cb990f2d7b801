"""Threads: made, changed and deleted with what they hold."""

import asyncio
import re

import pytest
from sqlalchemy import func, select

from freehold.core import clock
from freehold.storage.tables import messages, threads
from keeping import made, other_key, refused, uploaded, without_retention

PATH = "/v1/threads"
HELLO = {"role": "user", "content": "Hello"}


async def count(api, table):
    return await api.server.api.services.database.read(
        lambda c: c.scalar(select(func.count()).select_from(table))
    )


async def test_empty_thread_has_the_documented_defaults(api):
    thread = await made(api, PATH)
    assert re.fullmatch(r"thread_\w{24}", thread["id"])
    assert abs(thread["created_at"] - clock.now()) <= 5
    assert thread | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "thread",
        "created_at": 0,
        "tool_resources": {},
        "metadata": {},
    }
    assert (await api.client.get(f"{PATH}/{thread['id']}")).json() == thread


async def test_thread_begins_with_its_messages_in_order(api):
    texts = [f"number {number}" for number in range(30)]
    begun = [{"role": ("user", "assistant")[n % 2], "content": t} for n, t in enumerate(texts)]
    thread = await made(api, PATH, messages=begun)
    query = {"order": "asc", "limit": 100}
    listed = (await api.client.get(f"{PATH}/{thread['id']}/messages", params=query)).json()
    assert [one["content"][0]["text"]["value"] for one in listed["data"]] == texts
    assert [one["role"] for one in listed["data"]] == [one["role"] for one in begun]


async def test_files_of_messages_become_the_threads(api):
    files = [(await uploaded(api))["id"] for _ in range(3)]
    attached = [
        {"file_id": files[1], "tools": [{"type": "code_interpreter"}]},
        {"file_id": files[2], "tools": []},
    ]
    thread = await made(
        api,
        PATH,
        messages=[{**HELLO, "attachments": attached}],
        tool_resources={"code_interpreter": {"file_ids": [files[0]]}},
    )
    assert thread["tool_resources"] == {"code_interpreter": {"file_ids": files[:2]}}


async def test_update_changes_what_is_given_and_nothing_else(api):
    file = await uploaded(api)
    resources = {"code_interpreter": {"file_ids": [file["id"]]}}
    thread = await made(api, PATH, metadata={"k": "v"})
    path = f"{PATH}/{thread['id']}"
    changed = await made(api, path, tool_resources=resources)
    assert changed == thread | {"tool_resources": resources}
    changed = await made(api, path, metadata={"l": "w"})
    assert changed == thread | {"tool_resources": resources, "metadata": {"l": "w"}}
    assert await made(api, path, metadata=None, tool_resources=None) == thread | {"metadata": {}}
    assert await made(api, path) == thread | {"metadata": {}}


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"metadata": {"k": 1}}, 400, "metadata.k"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "messages[0].role"),
        ({"messages": [HELLO, {"role": "user"}]}, 400, "messages[1].content"),
        ({"messages": [HELLO, {**HELLO, "content": ""}]}, 400, "messages[1].content"),
        (
            {"messages": [HELLO, {**HELLO, "attachments": [{"file_id": "file-x", "tools": []}]}]},
            404,
            "messages[1].attachments[0].file_id",
        ),
        (
            {"tool_resources": {"code_interpreter": {"file_ids": ["file-x"]}}},
            404,
            "tool_resources.code_interpreter.file_ids[0]",
        ),
        ({"tool_resources": {"browser": {}}}, 400, "tool_resources.browser"),
    ],
)
async def test_what_can_not_be_is_refused_and_leaves_nothing(shared, fields, status, param):
    before = await count(shared, threads)
    error = await refused(shared, PATH, status=status, **fields)
    assert error["param"] == param
    assert await count(shared, threads) == before


async def test_attachments_can_not_exceed_the_interpreters_files(api):
    files = [(await uploaded(api))["id"] for _ in range(21)]
    resources = {"code_interpreter": {"file_ids": files[:20]}}
    thread = await made(api, PATH, tool_resources=resources)
    path = f"{PATH}/{thread['id']}/messages"
    tools = [{"type": "code_interpreter"}]
    await made(api, path, **HELLO, attachments=[{"file_id": files[0], "tools": tools}])
    attached = [{"file_id": files[20], "tools": tools}]
    error = await refused(api, path, **HELLO, attachments=attached)
    assert (error["param"], "at most 20 files" in error["message"]) == ("attachments", True)
    assert len((await api.client.get(path)).json()["data"]) == 1


async def test_deleted_thread_is_gone_with_its_messages_and_its_files_stay(api):
    file = await uploaded(api)
    attached = [{"file_id": file["id"], "tools": [{"type": "code_interpreter"}]}]
    thread = await made(api, PATH, messages=[{**HELLO, "attachments": attached}])
    path = f"{PATH}/{thread['id']}"
    message = (await api.client.get(f"{path}/messages")).json()["data"][0]
    answer = await api.client.delete(path)
    assert answer.json() == {"id": thread["id"], "object": "thread.deleted", "deleted": True}
    for answer in (
        await api.client.get(path),
        await api.client.delete(path),
        await api.client.post(path, json={}),
        await api.client.get(f"{path}/messages"),
        await api.client.post(f"{path}/messages", json=HELLO),
        await api.client.get(f"{path}/messages/{message['id']}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"No thread found with id '{thread['id']}'."
    assert (await api.client.get(f"/v1/files/{file['id']}")).status_code == 200


async def test_rows_of_deleted_threads_are_swept_and_no_others(api, monkeypatch):
    kept, gone = [await made(api, PATH, messages=[HELLO, HELLO]) for _ in range(2)]
    await api.client.delete(f"{PATH}/{gone['id']}")
    moment = clock.now() + 10 * 365 * 86_400
    monkeypatch.setattr(clock, "now", lambda: moment)
    async with asyncio.timeout(30):
        while await count(api, threads) > 1:
            await asyncio.sleep(0.1)
    assert await count(api, messages) == 2
    assert (await api.client.get(f"{PATH}/{kept['id']}")).status_code == 200


async def test_thread_of_another_project_is_not_found(api):
    thread = await made(api, PATH, messages=[HELLO])
    headers = await other_key(api)
    for path in (f"{PATH}/{thread['id']}", f"{PATH}/{thread['id']}/messages"):
        assert (await api.client.get(path, headers=headers)).status_code == 404


async def test_files_of_another_project_are_not_found(api):
    file = await uploaded(api)
    headers = await other_key(api)
    resources = {"code_interpreter": {"file_ids": [file["id"]]}}
    body = {"tool_resources": resources}
    assert (await api.client.post(PATH, json=body, headers=headers)).status_code == 404


async def test_project_without_retention_keeps_no_threads(api):
    thread = await made(api, PATH)
    await without_retention(api)
    for path in (PATH, f"{PATH}/{thread['id']}", f"{PATH}/{thread['id']}/messages"):
        body = HELLO if path.endswith("messages") else {}
        error = await refused(api, path, status=403, **body)
        assert error["code"] == "zero_data_retention"
    assert (await api.client.delete(f"{PATH}/{thread['id']}")).status_code == 200
