"""Files of messages go into the thread's own vector store, which is made when it is needed."""

import pytest

from freehold.core import clock
from keeping import made, refused, uploaded

PATH = "/v1/threads"
SEARCH = [{"type": "file_search"}]
BOTH = [*SEARCH, {"type": "code_interpreter"}]
WEEK = 7 * 86_400


def message(*files, tools=SEARCH):
    """Return a message with these files attached."""
    attached = [{"file_id": file["id"], "tools": tools} for file in files]
    return {"role": "user", "content": "Read this.", "attachments": attached}


async def store_of(api, thread):
    """Return the id of the thread's vector store and the files in it."""
    resources = (await api.client.get(f"{PATH}/{thread['id']}")).json()["tool_resources"]
    [store_id] = resources["file_search"]["vector_store_ids"]
    listed = (await api.client.get(f"/v1/vector_stores/{store_id}/files?order=asc")).json()
    return store_id, [one["id"] for one in listed["data"]]


async def test_store_is_made_with_a_threads_first_messages_and_expires_in_a_week(api):
    files = [await uploaded(api) for _ in range(3)]
    begun = [message(files[0]), message(files[1], files[0])]
    thread = await made(api, PATH, messages=begun)
    store_id, kept = await store_of(api, thread)
    assert thread["tool_resources"] == {"file_search": {"vector_store_ids": [store_id]}}
    assert kept == [files[0]["id"], files[1]["id"]]
    store = (await api.client.get(f"/v1/vector_stores/{store_id}")).json()
    assert store["expires_after"] == {"anchor": "last_active_at", "days": 7}
    assert store["expires_at"] == store["last_active_at"] + WEEK
    await made(api, f"{PATH}/{thread['id']}/messages", **message(files[2]))
    assert await store_of(api, thread) == (store_id, [file["id"] for file in files])


async def test_store_is_made_with_the_first_message_that_needs_it(api):
    thread = await made(api, PATH)
    path = f"{PATH}/{thread['id']}/messages"
    await made(api, path, role="user", content="No file yet.")
    assert (await api.client.get(f"{PATH}/{thread['id']}")).json()["tool_resources"] == {}
    file = await uploaded(api)
    await made(api, path, **message(file, tools=BOTH))
    store_id, kept = await store_of(api, thread)
    resources = (await api.client.get(f"{PATH}/{thread['id']}")).json()["tool_resources"]
    assert (kept, resources["code_interpreter"]) == ([file["id"]], {"file_ids": [file["id"]]})
    await api.client.delete(f"{PATH}/{thread['id']}")
    assert (await api.client.get(f"/v1/vector_stores/{store_id}")).status_code == 200


async def test_files_go_into_the_store_that_the_thread_was_given(api):
    files = [await uploaded(api) for _ in range(3)]
    inline = {"file_search": {"vector_stores": [{"file_ids": [files[0]["id"]]}]}}
    thread = await made(api, PATH, tool_resources=inline, messages=[message(files[1])])
    store_id, kept = await store_of(api, thread)
    assert kept == [files[0]["id"], files[1]["id"]]
    store = (await api.client.get(f"/v1/vector_stores/{store_id}")).json()
    assert store["expires_after"]["days"] == 7
    given = {"file_search": {"vector_store_ids": [store_id]}}
    other = await made(api, PATH, tool_resources=given, messages=[message(files[2])])
    assert await store_of(api, other) == (store_id, [file["id"] for file in files])


async def test_store_that_expired_or_was_deleted_is_replaced(api, monkeypatch):
    files = [await uploaded(api) for _ in range(3)]
    thread = await made(api, PATH, messages=[message(files[0])])
    path = f"{PATH}/{thread['id']}/messages"
    first, _ = await store_of(api, thread)
    await api.client.delete(f"/v1/vector_stores/{first}")
    await made(api, path, **message(files[1]))
    second, kept = await store_of(api, thread)
    assert (second != first, kept) == (True, [files[1]["id"]])
    moment = clock.now() + WEEK + 1
    monkeypatch.setattr(clock, "now", lambda: moment)
    await made(api, path, **message(files[2]))
    third, kept = await store_of(api, thread)
    assert (third in (first, second), kept) == (False, [files[2]["id"]])


async def test_refused_message_makes_no_store(api):
    before = (await api.client.get("/v1/vector_stores")).json()["data"]
    body = message(await uploaded(api), {"id": "file-gone"})
    await refused(api, PATH, status=404, messages=[body])
    assert (await api.client.get("/v1/vector_stores")).json()["data"] == before == []


@pytest.mark.parametrize(("name", "told"), [("table.csv", "[.csv]"), ("notes", "[none]")])
async def test_file_that_can_not_be_searched_is_refused_for_that_only(api, name, told):
    file = await uploaded(api, b"a,b", name)
    path = f"{PATH}/{(await made(api, PATH))['id']}/messages"
    error = await refused(api, path, **message(file))
    expected = f"Files with extensions {told} are not supported for retrieval."
    assert error["message"].startswith(expected)
    assert (error["param"], error["code"]) == ("attachments[0].file_id", "unsupported_file")
    await made(api, path, **message(file, tools=[{"type": "code_interpreter"}]))
