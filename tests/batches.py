"""Batches for tests: created over HTTP and looked at until they end."""

import asyncio
import json

URL = "/v1/chat/completions"


def request(custom_id, url=URL, **body):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": custom_id}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def upload(api, *lines, purpose="batch"):
    data = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    files = {"file": ("input.jsonl", data.encode())}
    answer = await api.client.post("/v1/files", files=files, data={"purpose": purpose})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def create(api, *lines, endpoint=URL, **fields):
    file_id = await upload(api, *lines)
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **fields}
    answer = await api.client.post("/v1/batches", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def retrieve(api, batch_id):
    answer = await api.client.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(api, batch_id, *statuses):
    async with asyncio.timeout(30):
        while (batch := await retrieve(api, batch_id))["status"] not in statuses:
            await asyncio.sleep(0.02)
    return batch


async def ended(api, *lines, **fields):
    batch = await create(api, *lines, **fields)
    return await until(api, batch["id"], "completed", "failed", "expired", "cancelled")


async def content(api, file_id):
    answer = await api.client.client.get(f"/v1/files/{file_id}/content")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]
