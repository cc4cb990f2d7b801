"""Uploads: parts in any order, put together into one file."""

import asyncio
import hashlib

import pytest

from freehold.core import clock
from freehold.data import limits

HALVES = (b"the first half, ", b"the second half")
WHOLE = b"".join(HALVES)
SIZE = len(WHOLE)
MD5 = hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()


BODY = {"filename": "a.jsonl", "purpose": "batch", "bytes": SIZE, "mime_type": "text/jsonl"}


async def begun(api, size=SIZE, **fields):
    """Return the upload of a request that must succeed."""
    answer = await api.client.post("/v1/uploads", json={**BODY, "bytes": size, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add(api, upload, data, **options):
    return await api.client.post(
        f"/v1/uploads/{upload['id']}/parts", files={"data": ("part", data)}, **options
    )


async def added(api, upload, data):
    """Return the part's id."""
    answer = await add(api, upload, data)
    assert answer.status_code == 200, answer.text
    part = answer.json()
    assert (part["object"], part["upload_id"]) == ("upload.part", upload["id"])
    return part["id"]


async def complete(api, upload, *part_ids, md5=None, **options):
    body = {"part_ids": list(part_ids)} | ({"md5": md5} if md5 else {})
    return await api.client.post(f"/v1/uploads/{upload['id']}/complete", json=body, **options)


async def completed(api, upload, *part_ids, **fields):
    answer = await complete(api, upload, *part_ids, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(answer, status=400):
    """Return the message of a request that must have been refused."""
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["message"]


async def content(api, file):
    return (await api.client.get(f"/v1/files/{file['id']}/content")).content


def blobs(api):
    folder = api.server.api.services.settings.state_dir / "blobs"
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_upload_is_pending_for_an_hour(api):
    upload = await begun(api)
    assert upload["status"] == "pending"
    assert upload["expires_at"] - upload["created_at"] == 3600
    assert upload.get("file") is None


async def test_file_expires_counted_from_when_the_upload_was_completed(api, monkeypatch):
    expiry = {"anchor": "created_at", "seconds": 3600}
    upload = await begun(api, expires_after=expiry)
    parts = [await added(api, upload, half) for half in HALVES]
    moment = upload["created_at"] + 1000
    monkeypatch.setattr(clock, "now", lambda: moment)

    file = (await completed(api, upload, *parts))["file"]

    assert file["expires_at"] == moment + 3600
    answer = await api.client.post(
        "/v1/uploads",
        json={**BODY, "expires_after": {**expiry, "seconds": 60}},
        sends_invalid=True,
    )
    assert "expires_after.seconds" in await refused(answer)


async def test_file_equals_the_parts_in_the_order_asked_for(api):
    upload = await begun(api)
    second = await added(api, upload, HALVES[1])
    first = await added(api, upload, HALVES[0])
    done = await completed(api, upload, first, second, md5=MD5)
    assert (done["status"], done["file"]["bytes"]) == ("completed", SIZE)
    assert (done["file"]["filename"], done["file"]["purpose"]) == ("a.jsonl", "batch")
    assert await content(api, done["file"]) == WHOLE
    assert len(blobs(api)) == 1


async def test_parts_come_in_parallel(api):
    pieces = [bytes([number]) * 100_000 for number in range(16)]
    upload = await begun(api, 1_600_000)
    parts = await asyncio.gather(*(added(api, upload, piece) for piece in pieces))
    done = await completed(api, upload, *parts)
    assert await content(api, done["file"]) == b"".join(pieces)


async def test_completing_again_gives_the_same_file(api):
    upload = await begun(api)
    parts = [await added(api, upload, half) for half in HALVES]
    first, second = await asyncio.gather(*(completed(api, upload, *parts) for _ in range(2)))
    assert first["file"] == second["file"] == (await completed(api, upload, *parts))["file"]
    assert len((await api.client.get("/v1/files")).json()["data"]) == 1


async def test_completing_again_with_other_parts_is_refused(api):
    upload = await begun(api)
    first, second = [await added(api, upload, half) for half in HALVES]
    await completed(api, upload, first, second)
    message = await refused(await complete(api, upload, second, first))
    assert "is completed" in message


async def test_wrong_size_is_refused_with_both_numbers(api):
    upload = await begun(api, 99)
    part = await added(api, upload, WHOLE)
    message = await refused(await complete(api, upload, part))
    assert f"{SIZE} bytes in all" in message
    assert "created for 99" in message


async def test_missing_part_is_refused_and_may_be_added(api):
    upload = await begun(api)
    first = await added(api, upload, HALVES[0])
    await refused(await complete(api, upload, first))
    second = await added(api, upload, HALVES[1])
    assert (await completed(api, upload, first, second))["status"] == "completed"


async def test_unknown_and_repeated_parts_are_refused(api):
    upload, other = await begun(api), await begun(api)
    part = await added(api, upload, WHOLE)
    foreign = await added(api, other, WHOLE)
    assert "part_none" in await refused(await complete(api, upload, "part_none"))
    assert foreign in await refused(await complete(api, upload, foreign))
    assert "only once" in await refused(await complete(api, upload, part, part))
    await refused(await complete(api, upload, sends_invalid=True))


async def test_wrong_checksum_is_refused_and_the_upload_goes_on(api):
    upload = await begun(api)
    part = await added(api, upload, WHOLE)
    message = await refused(await complete(api, upload, part, md5="0" * 32))
    assert "MD5" in message
    assert (await api.client.get("/v1/files")).json()["data"] == []
    await refused(await complete(api, upload, part, md5="nonsense", sends_invalid=True))
    done = await completed(api, upload, part, md5=MD5.upper())
    assert await content(api, done["file"]) == WHOLE


async def test_training_data_is_checked_when_it_is_whole(api):
    upload = await begun(api, purpose="fine-tune")
    part = await added(api, upload, WHOLE)
    assert "Line 1 is not a dictionary" in await refused(await complete(api, upload, part))


async def test_cancelled_upload_takes_nothing_more_and_keeps_no_bytes(api):
    upload = await begun(api)
    part = await added(api, upload, WHOLE)
    answer = await api.client.post(f"/v1/uploads/{upload['id']}/cancel")
    assert answer.json() == {**upload, "status": "cancelled"}
    assert blobs(api) == []
    assert "is cancelled" in await refused(await add(api, upload, b"more"))
    assert "is cancelled" in await refused(await complete(api, upload, part))
    assert "is cancelled" in await refused(
        await api.client.post(f"/v1/uploads/{upload['id']}/cancel")
    )


async def test_completed_upload_takes_no_parts_and_is_not_cancelled(api):
    upload = await begun(api)
    await completed(api, upload, await added(api, upload, WHOLE))
    assert "is completed" in await refused(await add(api, upload, b"more"))
    assert "is completed" in await refused(
        await api.client.post(f"/v1/uploads/{upload['id']}/cancel")
    )


async def test_expired_upload_takes_nothing_more(api, monkeypatch):
    upload = await begun(api)
    part = await added(api, upload, WHOLE)
    later = clock.now() + 3601
    monkeypatch.setattr(clock, "now", lambda: later)
    assert "is expired" in await refused(await add(api, upload, b"more"))
    assert "is expired" in await refused(await complete(api, upload, part))
    assert "is expired" in await refused(
        await api.client.post(f"/v1/uploads/{upload['id']}/cancel")
    )


async def test_part_beyond_the_limit_is_refused_and_leaves_nothing(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["uploads"], "part_bytes", 1000)
    upload = await begun(api)
    await refused(await add(api, upload, b"x" * 1001), 413)
    assert blobs(api) == []
    await added(api, upload, b"x" * 1000)


async def test_all_parts_together_have_a_limit(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["uploads"], "bytes", 1500)
    upload = await begun(api)
    await added(api, upload, b"x" * 1000)
    await refused(await add(api, upload, b"x" * 501))
    assert len(blobs(api)) == 1


async def test_running_uploads_count_for_the_organizations_room(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["files"], "organization_bytes", 1500)
    await begun(api, 1000)
    body = {"filename": "a.txt", "purpose": "assistants", "bytes": 501, "mime_type": "text/plain"}
    answer = await api.client.post("/v1/uploads", json=body)
    assert answer.json()["error"]["code"] == "storage_limit_exceeded"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8_589_934_593}, "bytes"),
        ({"purpose": "batch_output"}, "purpose"),
        ({"filename": "a.txt"}, "file"),
        ({"filename": ""}, "filename"),
        ({"mime_type": "jsonl"}, "mime_type"),
        ({"bytes": 209_715_201}, "file"),
        ({"colour": "red"}, None),
    ],
)
async def test_wrong_upload_is_refused(api, fields, param):
    body = {"filename": "a.jsonl", "purpose": "batch", "bytes": 5, "mime_type": "text/jsonl"}
    answer = await api.client.post("/v1/uploads", json={**body, **fields}, sends_invalid=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_part_needs_data(api):
    upload = await begun(api)
    path = f"/v1/uploads/{upload['id']}/parts"
    answer = await api.client.post(path, files={"file": b"x"}, sends_invalid=True)
    assert answer.json()["error"]["param"] == "file"
    answer = await api.client.post(
        path,
        content=b"--x--\r\n",
        headers={"content-type": "multipart/form-data; boundary=x"},
        sends_invalid=True,
    )
    assert answer.status_code == 400


async def test_unknown_upload_is_404(api):
    upload = {"id": "upload_none"}
    await refused(await add(api, upload, b"x"), 404)
    await refused(await complete(api, upload, "part_x"), 404)
    await refused(await api.client.post("/v1/uploads/upload_none/cancel"), 404)
