"""Batches with the official client."""

import io
import json
import time

import openai
import pytest

URL = "/v1/chat/completions"


@pytest.fixture
def start(client):
    def begin(*ids, **body):
        message = {"role": "user", "content": "Hi"}
        body = {"model": "gpt-4o", "max_tokens": 4, "messages": [message], **body}
        line = {"method": "POST", "url": URL, "body": body}
        data = "\n".join(json.dumps({**line, "custom_id": each}) for each in ids)
        file = client.files.create(file=("input.jsonl", io.BytesIO(data.encode())), purpose="batch")
        return client.batches.create(
            input_file_id=file.id,
            endpoint=URL,
            completion_window="24h",
            metadata={"of": "the tests"},
        )

    return begin


def ended(client, batch):
    until = time.monotonic() + 60
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        assert time.monotonic() < until, batch
        time.sleep(0.05)
        batch = client.batches.retrieve(batch.id)
    return batch


def test_batch_answers_each_request(client, start):
    batch = ended(client, start("a", "b", "c"))

    assert (batch.object, batch.status, batch.endpoint) == ("batch", "completed", URL)
    assert (batch.request_counts.total, batch.request_counts.completed) == (3, 3)
    assert batch.metadata == {"of": "the tests"}
    lines = client.files.content(batch.output_file_id).text.splitlines()
    assert sorted(json.loads(line)["custom_id"] for line in lines) == ["a", "b", "c"]
    assert all(json.loads(line)["response"]["status_code"] == 200 for line in lines)


def test_wrong_line_is_told(client, start):
    batch = ended(client, start("a", "a"))

    assert batch.status == "failed"
    assert [(one.code, one.line) for one in batch.errors.data] == [("duplicate_custom_id", 2)]


def test_batch_is_cancelled(client, start):
    batch = start(*(f"r{number}" for number in range(200)), max_tokens=200)

    assert client.batches.cancel(batch.id).status == "cancelling"
    assert ended(client, batch).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_list_pages_by_itself(client, start):
    mine = [start("a").id for _ in range(3)]
    listed = [batch.id for batch in client.batches.list(limit=1)]
    assert [each for each in listed if each in mine] == mine[::-1]
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
