"""The operator binds another embedding model than the one that indexed a store."""

import asyncio

import pytest

import tiny_bert
from servers import in_process

STORES = "/v1/vector_stores"


@pytest.fixture
def indexed(tmp_path):
    """Give a way to start the server again with other embedding models."""

    def start(**models):
        bound = {
            name: {"kind": "embedding", "backend": "minilm", "weights": str(weights)}
            for name, weights in models.items()
        }
        bound["scripted"] = {"backend": "scripted"}
        first = next(iter(models))
        return in_process(tmp_path / "state", models=bound, default_embedding_model=first)

    return start


async def store_of_one_file(api):
    data, files = {"purpose": "assistants"}, {"file": ("cat.txt", "The cat sat.")}
    file = (await api.client.post("/v1/files", data=data, files=files)).json()
    made = (await api.client.post(STORES, json={"file_ids": [file["id"]]})).json()
    path = f"{STORES}/{made['id']}"
    await settled(api, path)
    return path, file["id"]


async def search(api, path):
    return await api.client.post(f"{path}/search", json={"query": "cat"})


async def settled(api, path):
    async with asyncio.timeout(30):
        while (await api.client.get(path)).json()["status"] == "in_progress":
            await asyncio.sleep(0.02)


async def test_search_says_that_the_vectors_are_of_another_size(tmp_path, indexed, monkeypatch):
    wide = tiny_bert.write_tiny(tmp_path / "wide")
    monkeypatch.setitem(tiny_bert.CONFIG, "hidden_size", 16)
    narrow = tiny_bert.write_tiny(tmp_path / "narrow")
    async with indexed(embedder=wide) as api:
        path, file_id = await store_of_one_file(api)
        key = api.key
    async with indexed(embedder=narrow) as api:
        api.client.client.headers["authorization"] = f"Bearer {key}"
        answer = await search(api, path)
        assert answer.status_code == 500
        assert answer.headers["x-should-retry"] == "false"
        error = answer.json()["error"]
        assert error["code"] == "embedding_model_changed"
        assert "32 numbers, those of `embedder` now have 16" in error["message"]
        await api.client.delete(f"{path}/files/{file_id}")
        await api.client.post(f"{path}/files", json={"file_id": file_id})
        await settled(api, path)
        assert [each["file_id"] for each in (await search(api, path)).json()["data"]] == [file_id]


async def test_model_that_is_bound_no_more_is_the_operators_fault(tmp_path, indexed):
    weights = tiny_bert.write_tiny(tmp_path / "weights")
    async with indexed(first=weights) as api:
        path, _ = await store_of_one_file(api)
        key = api.key
    async with indexed(second=weights) as api:
        api.client.client.headers["authorization"] = f"Bearer {key}"
        answer = await search(api, path)
    assert answer.status_code == 500
    assert "`first` of this vector store is not bound" in answer.json()["error"]["message"]
