"""Files and uploads keep their promises on SQLite with a folder and on PostgreSQL with S3."""

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from freehold.api.context import Services
from freehold.core import clock
from freehold.data import limits
from freehold.resources.files import drafts, library
from freehold.storage import migrations
from freehold.storage.tables import blobs, files, output_pieces, upload_parts
from objectstore import bucket, object_store
from servers import InProcess, in_process

__all__ = ["bucket", "object_store"]

LONG = bytes(range(256)) * 40_000  # 10 MB, more than one part of an S3 upload
FORM = {"content-type": "multipart/form-data; boundary=xx"}
HEAD = (
    b'--xx\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
    b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
)


@dataclass
class House:
    """A server, and everything that is in its store of blobs."""

    api: InProcess
    left: Callable[[], list[str]]

    @property
    def services(self) -> Services:
        return self.api.server.api.services

    async def upload(self, content: bytes = LONG) -> dict[str, Any]:
        answer = await self.api.client.post(
            "/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", content)}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def content(self, file_id: str) -> bytes:
        return (await self.api.client.get(f"/v1/files/{file_id}/content")).content

    async def rows(self) -> int:
        """Return how many files, parts and blobs the database knows."""
        tables = (files, upload_parts, blobs)
        return await self.services.database.read(
            lambda c: sum(len(c.execute(select(table)).all()) for table in tables)
        )


@pytest.fixture(
    params=["sqlite-disk", pytest.param("postgres-s3", marks=pytest.mark.external)],
)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    settings: dict[str, Any] = {}
    if request.param == "postgres-s3":
        bucket = request.getfixturevalue("bucket")
        url = request.getfixturevalue("postgres_url")
        migrations.upgrade(url)
        settings = {"database_url": url, "blobs_url": bucket.address}

    def left() -> list[str]:
        if settings:
            return bucket.names() + [each["Key"] for each in bucket.unfinished()]
        folder = tmp_path / "state" / "blobs"
        return [path.name for path in folder.rglob("*") if path.is_file()]

    async with in_process(tmp_path / "state", **settings) as api:
        yield House(api, left)


async def test_file_lives_from_upload_to_deletion(house: House) -> None:
    made = await house.upload()
    path = f"/v1/files/{made['id']}"
    assert await house.content(made["id"]) == LONG
    part = await house.api.client.get(f"{path}/content", headers={"range": "bytes=-5"})
    assert (part.status_code, part.content) == (206, LONG[-5:])
    assert (await house.api.client.get("/v1/files")).json()["data"] == [made]
    assert (await house.api.client.delete(path)).json()["deleted"]
    assert (await house.api.client.get(path)).status_code == 404
    assert (house.left(), await house.rows()) == ([], 0)


async def test_upload_lives_from_parts_to_file(house: House) -> None:
    body = {"filename": "a.png", "purpose": "vision", "bytes": len(LONG), "mime_type": "image/png"}
    upload = (await house.api.client.post("/v1/uploads", json=body)).json()
    path = f"/v1/uploads/{upload['id']}"
    halves = (LONG[9_000_000:], LONG[:9_000_000])
    answers = await asyncio.gather(
        *(house.api.client.post(f"{path}/parts", files={"data": half}) for half in halves)
    )
    second, first = (answer.json()["id"] for answer in answers)
    md5 = hashlib.md5(LONG, usedforsecurity=False).hexdigest()
    order = {"part_ids": [first, second], "md5": md5}
    done = (await house.api.client.post(f"{path}/complete", json=order)).json()
    assert await house.content(done["file"]["id"]) == LONG
    assert (await house.api.client.post(f"{path}/complete", json=order)).json() == done
    assert len(house.left()) == 1


async def test_output_of_the_server_is_kept_where_clients_have_no_room(
    house: House, monkeypatch: Any
) -> None:
    whose = await owner(house)
    monkeypatch.setitem(limits._figures()["files"], "organization_bytes", 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"result"

    made = await library.create_output(house.services, whose, "o", "batch_output", chunks())
    assert await house.content(made.id) == b"result"


async def test_state_is_shared_with_another_process_and_survives_a_restart(
    house: House, tmp_path: Path
) -> None:
    made = await house.upload()
    body = {"filename": "a.png", "purpose": "vision", "bytes": 4, "mime_type": "image/png"}
    path = f"/v1/uploads/{(await house.api.client.post('/v1/uploads', json=body)).json()['id']}"
    part = await house.api.client.post(f"{path}/parts", files={"data": b"part"})
    settings = house.services.settings.model_dump(include={"database_url", "blobs_url"})
    if settings["database_url"] is None:
        await house.api.server.stop()
    async with in_process(tmp_path / "state", **settings) as other:
        headers = {"Authorization": f"Bearer {house.api.key}"}
        answer = await other.client.get(f"/v1/files/{made['id']}/content", headers=headers)
        assert answer.content == LONG
        order = {"part_ids": [part.json()["id"]]}
        done = await other.client.post(f"{path}/complete", json=order, headers=headers)
        assert done.json()["status"] == "completed"


async def send(
    house: House, *messages: dict[str, Any], method: str = "POST", path: str = "/v1/files"
) -> list[dict[str, Any]]:
    """Send a request in these pieces and return what the server sends back."""
    coming = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        for message in coming:
            return message
        return await asyncio.Event().wait() or {}  # neither more nor a disconnect

    async def take(message: Any) -> None:
        sent.append(message)

    await house.api.server.asgi(scope_of(house, method, path), receive, take)
    return sent


def scope_of(house: House, method: str = "POST", path: str = "/v1/files") -> dict[str, Any]:
    """Return the head of a request."""
    headers = {**FORM, "authorization": f"Bearer {house.api.key}"}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


async def call(app: Any, *arguments: Any) -> None:
    await app(*arguments)


def body(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_client_that_goes_away_leaves_nothing(house: House) -> None:
    assert await send(house, body(HEAD + LONG), body(LONG), {"type": "http.disconnect"}) == []
    assert (house.left(), await house.rows()) == ([], 0)


async def test_body_that_ends_too_early_leaves_nothing(house: House) -> None:
    start, answer = await send(house, body(HEAD + LONG), body(b"", more=False))
    assert start["status"] == 400
    assert b"last boundary is missing" in answer["body"]
    assert (house.left(), await house.rows()) == ([], 0)


async def test_cancelled_upload_leaves_nothing(house: House) -> None:
    waiting = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting.is_set():
            await asyncio.Event().wait()
        waiting.set()
        return body(HEAD + LONG)

    async def ignore(_: Any) -> None:
        """Nobody reads the answer."""

    task = asyncio.create_task(call(house.api.server.asgi, scope_of(house), receive, ignore))
    await waiting.wait()
    while not await house.rows():
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    while await house.rows():  # the cleaning up goes on behind the cancelled request
        await asyncio.sleep(0.01)
    assert house.left() == []


async def test_failing_transaction_leaves_nothing(house: House, monkeypatch: Any) -> None:
    monkeypatch.setitem(limits._figures()["files"], "organization_bytes", 1000)
    answer = await house.api.client.post(
        "/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", LONG)}
    )
    assert answer.json()["error"]["code"] == "storage_limit_exceeded"
    assert (house.left(), await house.rows()) == ([], 0)


async def test_file_that_is_deleted_while_it_is_read_is_404_for_the_next(house: House) -> None:
    made = await house.upload()
    row = await library.find(house.services, (await project(house)), made["id"])
    await house.api.client.delete(f"/v1/files/{made['id']}")
    with pytest.raises(library.NotFoundError):
        [_ async for _ in library.read(house.services, row)]


async def project(house: House) -> str:
    return await house.services.database.read(lambda c: c.scalar(select(files.c.project_id)))


async def test_other_groups_get_a_path_to_the_bytes(house: House) -> None:
    made = await house.upload()
    row = await library.find(house.services, await project(house), made["id"])
    async with library.local(house.services, row) as path:
        assert path.read_bytes() == LONG


async def owner(house: House) -> library.Owner:
    await house.upload(b"any")
    return await house.services.database.read(
        lambda c: library.Owner(
            *c.execute(select(files.c.organization_id, files.c.project_id)).one()
        )
    )


async def test_output_is_made_of_what_was_appended_in_order(house: House) -> None:
    whose = await owner(house)
    services, lines = house.services, [b"line %d\n" % number for number in range(200)]
    for line in lines:
        await services.database.write(lambda c, data=line: library.append_output(c, "draft", data))
    output = library.finished_output(services, whose, "out.jsonl", "batch_output", "draft")
    async with output as finished:
        await services.database.write(finished.keep)
    assert await house.content(finished.file_id) == b"".join(lines)
    left = await services.database.read(lambda c: c.execute(select(output_pieces)).all())
    assert left == []


async def test_output_that_is_not_kept_can_be_made_again(house: House) -> None:
    whose = await owner(house)
    services = house.services
    await services.database.write(lambda c: library.append_output(c, "draft", b"line\n"))
    kept = await house.rows()
    async with library.finished_output(services, whose, "o", "batch_output", "draft"):
        assert await house.rows() == kept + 1
    assert await house.rows() == kept
    assert [piece async for piece in library.output_so_far(services, "draft")] == [b"line\n"]


async def test_output_is_made_of_a_stream(house: House) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    whose = await owner(house)
    made = await library.create_output(
        house.services, whose, "results.csv", "fine-tune-results", chunks()
    )
    assert await house.content(made.id) == b"012"


async def test_sweep_finds_what_a_killed_writer_left(house: House) -> None:
    services = house.services
    draft = drafts.Draft(services.database, services.blobs)
    await draft.write(LONG)
    await draft.finish()  # and then the process was killed
    assert await drafts.sweep(services) == 0  # its writer was seen a moment ago
    long_ago = clock.now() - drafts.sweep_s() - 1
    await services.database.write(
        lambda c: c.execute(update(blobs).values(since=long_ago)).rowcount
    )
    assert await drafts.sweep(services) == 1
    assert (house.left(), await house.rows()) == ([], 0)


async def test_swept_draft_can_not_be_kept_any_more(house: House) -> None:
    services = house.services
    async with drafts.drafting(services) as draft:
        await draft.write(b"late")
        await draft.finish()
        long_ago = clock.now() - drafts.sweep_s() - 1
        await services.database.write(
            lambda c: c.execute(update(blobs).values(since=long_ago)).rowcount
        )
        await drafts.sweep(services)
        with pytest.raises(drafts.ServiceUnavailableError, match="too long"):
            await services.database.write(draft.take_over)
    assert house.left() == []


async def test_sweep_deletes_what_deleting_could_not(house: House, monkeypatch: Any) -> None:
    made = await house.upload()

    async def fail(*_: Any) -> None:
        raise drafts.ServiceUnavailableError("The store is down.")

    with monkeypatch.context() as patch:
        patch.setattr(type(house.services.blobs), "delete", fail)
        answer = await house.api.client.delete(f"/v1/files/{made['id']}")
        assert answer.status_code == 200
    assert len(house.left()) == 1
    assert await drafts.sweep(house.services) == 1
    assert (house.left(), await house.rows()) == ([], 0)


async def test_sweep_touches_nothing_that_is_kept(house: House) -> None:
    made = await house.upload()
    statement = update(blobs).values(since=0)
    await house.services.database.write(lambda c: c.execute(statement).rowcount)
    assert await drafts.sweep(house.services) == 0
    assert await house.content(made["id"]) == LONG


async def test_content_that_breaks_off_is_never_a_whole_answer(
    house: House, monkeypatch: Any
) -> None:
    made = await house.upload()

    async def broken(*_: Any) -> AsyncIterator[bytes]:
        yield LONG[:100]
        raise drafts.ServiceUnavailableError("The store is down.")

    monkeypatch.setattr(type(house.services.blobs), "read", broken)
    sent = await send(
        house, body(b"", more=False), method="GET", path=f"/v1/files/{made['id']}/content"
    )
    assert [message.get("body") for message in sent] == [None, LONG[:100]]
    assert sent[-1]["more_body"]


async def test_row_without_its_blob_is_an_error_and_no_content(house: House) -> None:
    made = await house.upload()
    await house.services.database.write(
        lambda c: c.execute(update(files).values(blob="0" * 32)).rowcount
    )
    answer = await house.api.client.get(f"/v1/files/{made['id']}/content")
    assert answer.status_code == 404
    assert "etag" not in answer.headers


async def test_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    async with in_process(tmp_path / "state") as api:
        write = os.write

        def fail_later(file: int, data: Any) -> int:
            if len(data) > 5_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(file, data)

        monkeypatch.setattr("freehold.storage.blobs_disk.os.write", fail_later)
        answer = await api.client.post(
            "/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", LONG)}
        )
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        assert answer.json()["error"]["code"] == "storage_full"
        assert (await api.client.get("/v1/files")).json()["data"] == []
    assert not [path for path in (tmp_path / "state/blobs").rglob("*") if path.is_file()]


async def test_store_that_is_down_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    async with in_process(tmp_path / "state", blobs_url="s3://bucket") as api:
        answer = await api.client.post(
            "/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", LONG)}
        )
        assert answer.json()["error"]["code"] == "storage_unavailable"
        assert (await api.client.get("/v1/files")).json()["data"] == []


async def test_sweep_takes_so_many_at_once(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(drafts, "_SWEPT_AT_ONCE", 4)
    rows = [{"name": f"{n:032x}", "state": "deleted", "since": 0} for n in range(6)]
    await house.services.database.write(lambda c: c.execute(insert(blobs), rows).rowcount)
    assert [await drafts.sweep(house.services) for _ in range(3)] == [4, 2, 0]
