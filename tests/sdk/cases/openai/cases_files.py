"""Files and uploads with the official client."""

import hashlib
import io
import os

import openai
import pytest

LINES = b'{"messages": [{"role": "user", "content": "Hi"}]}\n' * 20
BATCH = b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


@pytest.fixture
def uploaded(client):
    file = client.files.create(file=("input.jsonl", BATCH), purpose="batch")
    yield file
    client.files.delete(file.id)


def test_file_is_what_was_sent(client, uploaded):
    assert (uploaded.object, uploaded.bytes, uploaded.filename) == ("file", 80, "input.jsonl")
    assert (uploaded.purpose, uploaded.status) == ("batch", "processed")
    assert client.files.retrieve(uploaded.id) == uploaded


def test_content_comes_back(client, uploaded, tmp_path):
    assert client.files.content(uploaded.id).read() == BATCH
    assert client.files.content(uploaded.id).text == BATCH.decode()
    client.files.content(uploaded.id).write_to_file(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == BATCH


def test_content_is_streamed(client, uploaded):
    with client.files.with_streaming_response.content(uploaded.id) as answer:
        assert b"".join(answer.iter_bytes()) == BATCH


@pytest.mark.parametrize("kind", ["path", "open", "bytes", "buffer"])
def test_every_way_to_name_a_file_is_taken(client, tmp_path, kind):
    path = tmp_path / "notes é.txt"
    path.write_bytes(b"text")
    with path.open("rb") as opened:
        files = {"path": path, "open": opened, "bytes": b"text", "buffer": io.BytesIO(b"text")}
        made = client.files.create(file=files[kind], purpose="assistants")
    if kind in ("path", "open"):
        assert made.filename == path.name
    assert made.bytes == 4
    client.files.delete(made.id)


def test_list_pages_by_itself(client):
    made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="assistants") for n in range(3)]
    mine = {file.id for file in made}
    listed = [file.id for file in client.files.list(purpose="assistants", limit=1)]
    assert [each for each in listed if each in mine] == [file.id for file in made[::-1]]
    for file in made:
        assert client.files.delete(file.id).deleted


def test_deleted_file_is_not_found(client):
    made = client.files.create(file=("a.txt", b"x"), purpose="assistants")
    client.files.delete(made.id)
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(made.id)


def test_wrong_training_line_is_named(client):
    with pytest.raises(openai.BadRequestError, match="Line 21 is not a dictionary"):
        client.files.create(file=("a.jsonl", LINES + b"x"), purpose="fine-tune")


def test_content_of_assistants_files_is_refused(client):
    made = client.files.create(file=("a.txt", b"x"), purpose="assistants")
    with pytest.raises(openai.BadRequestError, match="Not allowed to download"):
        client.files.content(made.id)
    client.files.delete(made.id)


def test_file_is_ready_to_use(client, uploaded):
    assert client.files.wait_for_processing(uploaded.id).id == uploaded.id


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the client of 2024 leaves its file open
def test_large_file_goes_up_in_chunks(client, tmp_path):
    content = os.urandom(3_000_000)
    path = tmp_path / "large.png"
    path.write_bytes(content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    upload = client.uploads.upload_file_chunked(
        file=path, mime_type="image/png", purpose="vision", part_size=1_000_000, md5=md5
    )
    assert (upload.status, upload.file.bytes) == ("completed", 3_000_000)
    assert client.files.content(upload.file.id).read() == content
    client.files.delete(upload.file.id)


def test_bytes_go_up_in_chunks(client):
    upload = client.uploads.upload_file_chunked(
        file=LINES, filename="a.jsonl", bytes=len(LINES), mime_type="text/jsonl", purpose="batch"
    )
    assert client.files.content(upload.file.id).read() == LINES
    client.files.delete(upload.file.id)


def test_cancelled_upload_takes_no_parts(client):
    upload = client.uploads.create(
        bytes=9, filename="a.txt", mime_type="text/plain", purpose="assistants"
    )
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        client.uploads.parts.create(upload.id, data=b"x")


async def test_parts_go_up_at_once_from_the_async_client(async_client):
    upload = await async_client.uploads.upload_file_chunked(
        file=LINES,
        filename="a.jsonl",
        bytes=len(LINES),
        mime_type="text/jsonl",
        purpose="batch",
        part_size=100,
    )
    assert (await async_client.files.content(upload.file.id)).content == LINES
    await async_client.files.delete(upload.file.id)
