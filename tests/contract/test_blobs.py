"""Every store of blobs keeps the same promises."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from freehold.core.errors import ServiceUnavailableError
from freehold.core.settings import SettingsError
from freehold.storage.blobs import BLOCK, BlobMissingError, Blobs
from freehold.storage.blobs_open import open_blobs
from objectstore import bucket, object_store

__all__ = ["bucket", "object_store"]

NAME = "0123456789abcdef"
LONG = bytes(range(256)) * (21 * BLOCK // 256 + 1)  # more than two parts of an S3 upload


@pytest.fixture(params=["disk", "s3"])
def address(request):
    return request.getfixturevalue("bucket").address if request.param == "s3" else None


@pytest.fixture
def blobs(address, tmp_path) -> Blobs:
    return open_blobs(address, tmp_path / "blobs")


async def written(blobs: Blobs, data: bytes, name: str = NAME, step: int = 65_536) -> None:
    writer = await blobs.create(name)
    for start in range(0, len(data), step):
        await writer.write(data[start : start + step])
    await writer.commit()


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.fixture
def left(request, address, tmp_path):
    """Return a function that names everything in the store, also what is unfinished."""

    def look() -> list[str]:
        if address is None:
            return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
        bucket = request.getfixturevalue("bucket")
        return sorted(bucket.names()) + [each["Key"] for each in bucket.unfinished()]

    return look


@pytest.mark.parametrize("data", [b"", b"few", LONG], ids=["empty", "short", "long"])
async def test_what_was_committed_is_read_back(blobs, data):
    await written(blobs, data)
    assert await read(blobs.read(NAME)) == data
    assert await blobs.size(NAME) == len(data)


@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (5, 10), (BLOCK - 1, BLOCK + 2), (len(LONG) - 3, 99), (7, None)]
)
async def test_a_part_is_read_alone(blobs, start, length):
    await written(blobs, LONG)
    end = None if length is None else start + length
    assert await read(blobs.read(NAME, start, length)) == LONG[start:end]


async def test_no_chunk_is_much_longer_than_a_block(blobs):
    await written(blobs, LONG)
    assert max([len(chunk) async for chunk in blobs.read(NAME)]) <= 2 * BLOCK


async def test_observers_see_every_byte_in_order(blobs):
    digest = hashlib.sha256()
    writer = await blobs.create(NAME, digest.update)
    for _ in range(3):
        await writer.write(LONG)
    await writer.commit()
    assert digest.digest() == hashlib.sha256(LONG * 3).digest()
    assert writer.size == len(LONG) * 3


async def test_nothing_is_there_before_the_commit(blobs):
    writer = await blobs.create(NAME)
    await writer.write(LONG)
    with pytest.raises(BlobMissingError):
        await blobs.size(NAME)
    await writer.abort()


@pytest.mark.parametrize("data", [b"", b"few", LONG], ids=["empty", "short", "long"])
async def test_abort_leaves_nothing(blobs, data, left):
    writer = await blobs.create(NAME)
    await writer.write(data)
    await writer.abort()
    assert left() == []


async def test_deleted_blob_is_gone_and_deleting_again_is_fine(blobs):
    await written(blobs, b"bytes")
    await blobs.delete(NAME)
    await blobs.delete(NAME)
    with pytest.raises(BlobMissingError):
        await read(blobs.read(NAME))
    with pytest.raises(BlobMissingError):
        await blobs.size(NAME)


async def test_nothing_but_the_blobs_is_in_the_store(blobs, left):
    await written(blobs, b"one", "aa01")
    await written(blobs, LONG, "bb02")
    assert left() == ["aa01", "bb02"]


async def test_files_of_the_store_are_the_owners_alone(tmp_path):
    blobs = open_blobs(None, tmp_path / "blobs")
    await written(blobs, b"secret")
    path = blobs.path(NAME)
    assert path is not None
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o077 == 0


async def test_deleting_takes_along_what_a_killed_writer_left(tmp_path):
    blobs = open_blobs(None, tmp_path / "blobs")
    writer = await blobs.create(NAME)
    await writer.write(LONG)  # and never a commit or abort
    await blobs.delete(NAME)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EIO, "storage_unavailable"),
    ],
)
async def test_failing_disk_is_an_error_that_says_so(tmp_path, monkeypatch, number, code):
    blobs = open_blobs(None, tmp_path / "blobs")
    writer = await blobs.create(NAME)

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("freehold.storage.blobs_disk.os.write", fail)
        with pytest.raises(ServiceUnavailableError) as caught:
            await writer.write(LONG)
    await writer.abort()
    assert caught.value.code == code
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'freehold\[s3\]'"):
        open_blobs("s3://bucket", tmp_path)


async def test_store_that_is_down_is_an_error_that_says_so(monkeypatch, tmp_path):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    blobs = open_blobs("s3://bucket", tmp_path)
    writer = await blobs.create(NAME)
    await writer.write(b"few")
    with pytest.raises(ServiceUnavailableError) as caught:
        await writer.commit()
    await writer.abort()
    assert caught.value.code == "storage_unavailable"
    with pytest.raises(ServiceUnavailableError):
        await read(blobs.read(NAME))
