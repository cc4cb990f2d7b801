"""Vector stores keep their promises on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

import tiny_bert
from freehold.core.errors import NotFoundError
from freehold.documents.reader import Chunk
from freehold.resources.vector_stores import adding, search, service
from freehold.storage import migrations
from freehold.storage.tables import jobs, projects, vector_store_chunks
from servers import InProcess, in_process

STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}


@dataclass
class Shop:
    """A server, and what tests ask of it."""

    api: InProcess

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.api.client.post(f"/v1{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = await self.api.client.get(f"/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def delete(self, path: str) -> dict[str, Any]:
        answer = await self.api.client.delete(f"/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def upload(self, content: str | bytes, name: str = "note.txt") -> str:
        answer = await self.api.client.post(
            "/v1/files", data={"purpose": "assistants"}, files={"file": (name, content)}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def store(self, *contents: str, **body: Any) -> str:
        ids = [await self.upload(content) for content in contents]
        made = await self.post("/vector_stores", file_ids=ids, **body)
        await self.settled(made["id"])
        return made["id"]

    async def settled(self, store_id: str) -> dict[str, Any]:
        """Return the store once none of its files is in progress."""
        while (await self.get(f"/vector_stores/{store_id}"))["status"] == "in_progress":
            await asyncio.sleep(0.02)
        return await self.get(f"/vector_stores/{store_id}")

    async def texts(self, store_id: str, query: str, **body: Any) -> list[str]:
        found = await self.post(f"/vector_stores/{store_id}/search", query=query, **body)
        return [each["content"][0]["text"] for each in found["data"]]

    async def idle(self) -> None:
        """Wait until nothing is indexed or removed."""
        ours = jobs.c.kind.in_([adding.INDEX, service.REMOVE])
        live = select(func.count()).where(ours, jobs.c.state.in_(["queued", "running"]))
        while await self.api.server.api.services.database.read(lambda c: c.scalar(live)):
            await asyncio.sleep(0.02)

    async def leftovers(self) -> int:
        """Return how many chunks, and words of chunks, are in the database."""
        counted = [select(func.count()).select_from(vector_store_chunks)]
        words = text("SELECT count(*) FROM chunk_words")
        return await self.api.server.api.services.database.read(
            lambda c: sum(c.scalar(each) or 0 for each in [*counted, words])
        )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.external)])
async def shop(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    settings: dict[str, Any] = {}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        migrations.upgrade(url)
        settings = {"database_url": url}
    weights = tiny_bert.write_tiny(tmp_path / "embedder")
    models = {
        "scripted": {"backend": "scripted"},
        "tiny-bert": {"kind": "embedding", "backend": "minilm", "weights": str(weights)},
    }
    async with in_process(
        tmp_path / "state", models=models, default_embedding_model="tiny-bert", **settings
    ) as api:
        yield Shop(api)


async def test_completed_file_is_retrievable_now(shop: Shop) -> None:
    store_id = await shop.store("The cat sat on the mat.", "A dog ate the long red stone.")
    shown = await shop.get(f"/vector_stores/{store_id}")
    assert shown["status"] == "completed"
    assert shown["file_counts"] == {
        "in_progress": 0,
        "completed": 2,
        "failed": 0,
        "cancelled": 0,
        "total": 2,
    }
    assert shown["usage_bytes"] > 0
    assert (await shop.texts(store_id, "cat mat"))[0] == "The cat sat on the mat."
    assert (await shop.texts(store_id, "dog stone"))[0] == "A dog ate the long red stone."


async def test_deleting_a_file_takes_it_out_of_its_stores(shop: Shop) -> None:
    store_id = await shop.store("The cat sat on the mat.", "A dog ate a stone.")
    listed = await shop.get(f"/vector_stores/{store_id}/files")
    await shop.delete(f"/files/{listed['data'][1]['id']}")
    assert await shop.texts(store_id, "cat mat") == ["A dog ate a stone."]
    assert (await shop.get(f"/vector_stores/{store_id}"))["file_counts"]["total"] == 1
    assert await shop.leftovers() == 2


async def test_deleted_store_is_gone_and_its_files_stay(shop: Shop) -> None:
    store_id = await shop.store("The cat sat on the mat.")
    await shop.delete(f"/vector_stores/{store_id}")
    answer = await shop.api.client.get(f"/v1/vector_stores/{store_id}")
    assert answer.status_code == 404
    assert len((await shop.get("/files"))["data"]) == 1
    while await shop.leftovers():
        await asyncio.sleep(0.02)


async def test_file_added_by_several_at_once_is_there_once(shop: Shop) -> None:
    store_id, file_id = await shop.store(), await shop.upload("The cat sat.")
    path = f"/vector_stores/{store_id}/files"
    await asyncio.gather(*(shop.post(path, file_id=file_id) for _ in range(6)))
    assert (await shop.settled(store_id))["file_counts"]["total"] == 1
    assert await shop.texts(store_id, "cat") == ["The cat sat."]


async def test_store_deleted_while_files_come_leaves_nothing(shop: Shop) -> None:
    file_ids = [await shop.upload(f"The cat sat on stone {n}.") for n in range(6)]
    store_id = (await shop.post("/vector_stores", file_ids=file_ids[:3]))["id"]
    adding = [
        shop.api.client.post(f"/v1/vector_stores/{store_id}/files", json={"file_id": file_id})
        for file_id in file_ids[3:]
    ]
    deleting = shop.delete(f"/vector_stores/{store_id}")
    _, added = await asyncio.gather(deleting, asyncio.gather(*adding))
    assert {answer.status_code for answer in added} <= {200, 404}
    await shop.idle()
    assert await shop.leftovers() == 0


async def test_search_function_serves_runs(shop: Shop) -> None:
    one, two = await shop.store("The cat sat."), await shop.store("The dog ate the cat.")
    services = shop.api.server.api.services
    project = await services.database.read(lambda c: c.scalar(select(projects.c.id)))
    assert project is not None
    found = await search.search(services, project, [one, two], "cat", limit=5)
    assert {each.vector_store_id for each in found} == {one, two}
    assert all(0 <= each.score <= 1 for each in found)


async def test_filters_hold_for_words_and_for_vectors(shop: Shop) -> None:
    store_id = await shop.store("The cat sat.", "The cat ate.")
    listed = await shop.get(f"/vector_stores/{store_id}/files", order="asc")
    second = listed["data"][1]["id"]
    await shop.post(f"/vector_stores/{store_id}/files/{second}", attributes={"year": 2024})
    only = {"type": "gte", "key": "year", "value": 2024}
    assert await shop.texts(store_id, "cat sat", filters=only) == ["The cat ate."]


async def test_stores_do_not_see_each_other(shop: Shop) -> None:
    one, two = await shop.store("The cat sat."), await shop.store("A dog ate.")
    assert await shop.texts(one, "dog") == ["The cat sat."]
    assert await shop.texts(two, "cat") == ["A dog ate."]


@pytest.mark.parametrize(
    "query", ['"cat" OR (sat', "a:b & !c | 'd'", "store:1 NEAR *", "🐈 \\", "the of and", "日本語"]
)
async def test_questions_are_no_syntax(shop: Shop, query: str) -> None:
    store_id = await shop.store("The cat sat on the mat.")
    assert await shop.texts(store_id, query) == ["The cat sat on the mat."]


async def test_other_projects_see_nothing(shop: Shop) -> None:
    store_id = await shop.store("The cat sat.")
    with pytest.raises(NotFoundError):
        await search.search(shop.api.server.api.services, "proj_other", [store_id], "cat")


async def test_indexing_goes_on_after_a_restart(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = shop.api.server.api.services.reader
    begun = asyncio.Event()

    async def hang(*_: Any) -> list[Chunk]:
        begun.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(type(reader), "chunks", hang)
    file_id = await shop.upload("The cat sat.")
    made = await shop.post("/vector_stores", file_ids=[file_id])
    await begun.wait()
    await shop.api.server.stop()
    monkeypatch.undo()
    settings = shop.api.server.api.services.settings
    async with in_process(settings.state_dir, **settings.model_dump(exclude={"state_dir"})) as api:
        api.client.client.headers["authorization"] = f"Bearer {shop.api.key}"
        again = Shop(api)
        assert (await again.settled(made["id"]))["file_counts"]["completed"] == 1
        assert await again.texts(made["id"], "cat") == ["The cat sat."]
