"""Assistants, threads and messages keep their promises on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from freehold.resources.threads import messages, store
from freehold.storage import migrations
from freehold.storage.tables import messages as rows
from keeping import listed_by, made, refused, uploaded
from servers import InProcess, in_process

HELLO = {"role": "user", "content": "Hello"}
CODE = [{"type": "code_interpreter"}]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.external)])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[InProcess]:
    settings: dict[str, Any] = {}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        migrations.upgrade(url)
        settings = {"database_url": url}
    async with in_process(tmp_path / "state", **settings) as server:
        yield server


async def pages(api: InProcess, path: str, **query: Any) -> list[str]:
    """Return the ids of a list, read page by page."""
    found: list[str] = []
    more = True
    while more:
        after = {"after": found[-1]} if found else {}
        page = (await api.client.get(path, params={**query, **after})).json()
        found += [one["id"] for one in page["data"]]
        more = page["has_more"]
    return found


async def test_assistant_lives_from_creation_to_deletion(api: InProcess) -> None:
    parameters = {"type": "object", "properties": {"z": {}, "a": {"const": "\0"}}}
    function = {"name": "f", "description": "ü", "parameters": parameters}
    tools = [{"type": "function", "function": function}]
    first = await made(api, "/v1/assistants", model="gpt-4o", tools=tools, metadata={"k": "ü"})
    path = f"/v1/assistants/{first['id']}"
    assert first["tools"] == tools
    changed = await made(api, path, temperature=0.1, metadata=None)
    assert changed == first | {"temperature": 0.1, "metadata": {}}
    assert (await api.client.get(path)).json() == changed
    others = [(await made(api, "/v1/assistants", model="gpt-4o"))["id"] for _ in range(4)]
    await listed_by(api, "/v1/assistants", [first["id"], *others])
    assert (await api.client.delete(path)).json()["deleted"]
    assert (await api.client.get(path)).status_code == 404


async def test_messages_of_many_at_once_have_one_order(api: InProcess) -> None:
    thread = await made(api, "/v1/threads", messages=[HELLO] * 3)
    path = f"/v1/threads/{thread['id']}/messages"
    await asyncio.gather(*(made(api, path, **HELLO) for _ in range(30)))
    newest_first = await pages(api, path, limit=7)
    assert len(set(newest_first)) == 33
    assert await pages(api, path, limit=5, order="asc") == newest_first[::-1]


async def test_files_of_messages_that_come_at_once_are_all_kept(api: InProcess) -> None:
    files = [(await uploaded(api))["id"] for _ in range(12)]
    thread = await made(api, "/v1/threads")
    path = f"/v1/threads/{thread['id']}"
    attached = [[{"file_id": file, "tools": CODE}] for file in files]
    await asyncio.gather(
        *(made(api, f"{path}/messages", **HELLO, attachments=one) for one in attached)
    )
    resources = (await api.client.get(path)).json()["tool_resources"]
    assert sorted(resources["code_interpreter"]["file_ids"]) == sorted(files)


async def test_one_run_of_many_gets_the_thread(api: InProcess) -> None:
    thread_id = (await made(api, "/v1/threads"))["id"]
    database = api.server.api.services.database

    def begin(run_id: str) -> Any:
        return database.write(lambda c: store.begin_run(c, thread_id, run_id))

    won = await asyncio.gather(*(begin(f"run_{number}") for number in range(10)))
    assert sorted(won) == [False] * 9 + [True]
    error = await refused(api, f"/v1/threads/{thread_id}/messages", **HELLO)
    assert f"while a run run_{won.index(True)} is active." in error["message"]


async def test_no_message_comes_between_a_run_and_its_end(api: InProcess) -> None:
    thread_id = (await made(api, "/v1/threads"))["id"]
    path = f"/v1/threads/{thread_id}/messages"
    database = api.server.api.services.database

    async def add() -> int:
        return (await api.client.post(path, json=HELLO)).status_code

    async def run() -> int:
        """Return how many messages there were when the run began."""

        def begin(connection: store.Connection) -> int:
            assert store.begin_run(connection, thread_id, "run_a")
            mine = select(func.count()).where(rows.c.thread_id == thread_id)
            return connection.scalar(mine) or 0

        return await database.write(begin)

    *codes, seen = await asyncio.gather(*(add() for _ in range(15)), run())
    assert codes.count(200) == seen == len(await pages(api, path))
    assert codes.count(400) == 15 - seen


async def test_answer_of_a_run_is_written_with_the_runs_own_unit(api: InProcess) -> None:
    thread_id = (await made(api, "/v1/threads", messages=[HELLO]))["id"]
    database = api.server.api.services.database
    row = messages.begun(thread_id, assistant_id="asst_a", run_id="run_a")
    content = [{"type": "text", "text": {"value": "\0 ü", "annotations": []}}]

    def lost(connection: store.Connection) -> None:
        store.add_messages(connection, [row])
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await database.write(lost)
    path = f"/v1/threads/{thread_id}/messages"
    assert len(await pages(api, path)) == 1

    def kept(connection: store.Connection) -> bool:
        store.add_messages(connection, [row])
        return messages.complete(connection, row["id"], content)

    assert await database.write(kept)
    assert (await api.client.get(f"{path}/{row['id']}")).json()["content"] == content
    assert await pages(api, path, run_id="run_a") == [row["id"]]


async def test_sweep_removes_deleted_threads_with_all_they_hold(api: InProcess) -> None:
    several = [await made(api, "/v1/threads", messages=[HELLO] * 2) for _ in range(3)]
    for thread in several[1:]:
        await api.client.delete(f"/v1/threads/{thread['id']}")
    database = api.server.api.services.database
    while await database.write(lambda c: store.sweep(c, 1)):  # as the periodic job may do, too
        pass
    assert await database.read(lambda c: c.scalar(select(func.count()).select_from(rows))) == 2
    assert (await api.client.get(f"/v1/threads/{several[0]['id']}")).status_code == 200
