"""What is no longer kept is deleted by the periodic jobs; zero data retention keeps nothing."""

import asyncio

import pytest
from sqlalchemy import func, select

from freehold.core import clock
from freehold.resources.files import drafts
from freehold.resources.organization import service as organization
from freehold.storage.tables import blobs, chat_completions, files, jobs, uploads

HOUR, DAY = 3600, 86_400
CANARY = "canary-7f3a91"


def later(monkeypatch, seconds):
    moment = clock.now() + seconds
    monkeypatch.setattr(clock, "now", lambda: moment)


async def count(api, table):
    return await api.server.api.services.database.read(
        lambda c: c.scalar(select(func.count()).select_from(table))
    )


async def emptied(api, table):
    """Wait until the sweeps have emptied the table."""
    async with asyncio.timeout(30):
        while await count(api, table):
            await asyncio.sleep(0.1)
    return True


async def at_rest(api):
    """Wait until no sweep runs: one that ended after the next jump in time would be due later."""
    running = select(func.count()).where(jobs.c.state == "running")
    async with asyncio.timeout(30):
        while await api.server.api.services.database.read(lambda c: c.scalar(running)):
            await asyncio.sleep(0.1)


def kept_files(api):
    folder = api.server.api.services.settings.state_dir / "blobs"
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_stored_chats_are_deleted_after_30_days(api, monkeypatch):
    await api.chat(store=True)
    assert await count(api, chat_completions) == 1
    later(monkeypatch, 30 * DAY)
    assert await emptied(api, chat_completions)


async def test_parts_of_an_expired_upload_are_deleted_and_later_the_upload(api, monkeypatch):
    body = {"filename": "a.txt", "purpose": "assistants", "bytes": 9, "mime_type": "text/plain"}
    upload = (await api.client.post("/v1/uploads", json=body)).json()
    await api.client.post(f"/v1/uploads/{upload['id']}/parts", files={"data": b"part"})
    assert len(kept_files(api)) == 1
    later(monkeypatch, 2 * HOUR)
    assert await emptied(api, blobs)
    assert kept_files(api) == []
    answer = await api.client.post(f"/v1/uploads/{upload['id']}/cancel")
    assert "is expired" in answer.json()["error"]["message"]
    await at_rest(api)
    later(monkeypatch, 31 * DAY)
    assert await emptied(api, uploads)


async def test_what_a_killed_writer_left_is_deleted(api, monkeypatch):
    services = api.server.api.services
    draft = drafts.Draft(services.database, services.blobs)
    await draft.write(b"x" * 2_000_000)
    later(monkeypatch, 2 * HOUR)
    assert await emptied(api, blobs)
    assert kept_files(api) == []


async def test_bytes_of_an_expired_file_are_deleted(api, monkeypatch):
    expiry = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    form = {"purpose": "assistants", **expiry}
    await api.client.post("/v1/files", data=form, files={"file": ("a.txt", b"kept")})
    assert len(kept_files(api)) == 1
    later(monkeypatch, 3 * HOUR)
    assert await emptied(api, files)
    assert await emptied(api, blobs)
    assert kept_files(api) == []


async def test_files_that_do_not_expire_are_never_swept(api, monkeypatch):
    data = {"purpose": "assistants"}
    await api.client.post("/v1/files", data=data, files={"file": ("a.txt", b"kept")})
    await api.chat(store=True)
    later(monkeypatch, 10_000 * DAY)
    assert await emptied(api, chat_completions)
    assert await count(api, blobs) == 1
    assert [path.read_bytes() for path in kept_files(api)] == [b"kept"]


@pytest.fixture
async def unkept(api):
    """Return a server whose key is of a project with zero data retention."""
    database = api.server.api.services.database
    project = (await organization.list_projects(database))[0]["id"]
    await organization.set_zero_data_retention(database, project, on=True)
    key = await organization.create_key(database)
    api.client.client.headers["Authorization"] = f"Bearer {key.secret}"
    return api


async def test_zero_retention_refuses_files_and_uploads(unkept):
    answer = await unkept.client.post(
        "/v1/files",
        data={"purpose": "assistants"},
        files={"file": (f"{CANARY}.txt", CANARY.encode() * 100_000)},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "zero_data_retention")
    body = {"filename": CANARY, "purpose": "assistants", "bytes": 9, "mime_type": "text/plain"}
    answer = await unkept.client.post("/v1/uploads", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "zero_data_retention")


async def test_zero_retention_leaves_no_byte_behind(unkept, capfd):
    await test_zero_retention_refuses_files_and_uploads(unkept)
    await unkept.chat(store=True, messages=[{"role": "user", "content": CANARY}])
    await unkept.client.post("/v1/chat/completions", json={"model": CANARY}, sends_invalid=True)
    await unkept.server.stop()
    folder = unkept.server.api.services.settings.state_dir
    found = [
        path
        for path in folder.rglob("*")
        if CANARY in str(path) or (path.is_file() and CANARY.encode() in path.read_bytes())
    ]
    assert found == []
    logged = capfd.readouterr()
    assert "createChatCompletion" in logged.err
    assert CANARY not in logged.out + logged.err


async def test_retention_keeps_the_canary_where_it_is_allowed(api):
    await api.chat(store=True, messages=[{"role": "user", "content": CANARY}])
    await api.server.stop()
    folder = api.server.api.services.settings.state_dir
    assert any(CANARY.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
