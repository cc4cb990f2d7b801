"""File search: how well it finds, and how long it takes.

Run: ``python bench/search.py [--state-dir DIR] [--only quality|speed] [--chunks N] [--json FILE]``.
DIR holds the weights that ``freehold models pull`` fetched. *Quality* uploads the documents of
``search_documents.jsonl``, has them indexed as users do, and asks the questions beside them: of how
many is the right document among the first five, by meaning alone, by words alone, and joined?
*Speed* writes N chunks of made-up words with random vectors into a store and searches it.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import numpy as np
from machine import facts
from search_corpus import DOCUMENTS, QUESTIONS
from sqlalchemy import insert, select

from freehold import app
from freehold.api.context import Services
from freehold.core.settings import Settings
from freehold.engines.weights import WeightsStore
from freehold.resources.vector_stores import embedding, search, store
from freehold.storage import approximate, fulltext
from freehold.storage.tables import files, projects, vector_store_chunks
from freehold.storage.vectors import Place, Vectors

MODEL: Final = "all-minilm-l6-v2"
FIRST: Final = 5
DIMENSIONS: Final = 384
CHUNKS_OF_A_FILE: Final = 100
TOPICS: Final = 500
WORDS_OF_A_CHUNK: Final = 200
WIDE: Final = 50
VOCABULARY: Final = 50_000


Figures = dict[str, float]


async def main(options: argparse.Namespace) -> None:
    """Measure what was asked for, print it, and fail where a bound is not kept."""
    figures: dict[str, Any] = {"machine": facts()}
    with tempfile.TemporaryDirectory() as folder:
        async with _house(Path(folder), options.state_dir) as (server, client):
            if options.only != "speed":
                figures["quality"] = await quality(server.api.services, client)
            if options.only != "quality":
                figures["speed"] = await speed(server.api.services, options.chunks)
    for name, part in figures.items():
        print(name, json.dumps(part, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


@asynccontextmanager
async def _house(
    folder: Path, weights: Path | None
) -> AsyncGenerator[tuple[app.Server, httpx.AsyncClient]]:
    """Give a server in this process, and a client of it."""
    bound: dict[str, Any] = {"scripted": {"backend": "scripted"}}
    if weights:
        path = WeightsStore(weights).path(MODEL)
        bound[MODEL] = {"kind": "embedding", "backend": "minilm", "weights": str(path)}
    settings = {"state_dir": folder, "models": bound, "default_model": "scripted"}
    settings["vector_approximate_from"] = 10**9  # the exact search is measured by itself
    server = app.build(Settings.model_validate({**settings, "log_level": "error"}))
    await server.start()
    try:
        transport = httpx.ASGITransport(app=server.asgi)
        headers = {"authorization": f"Bearer {server.first_keys.project_key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://bench/v1", headers=headers, timeout=60
        ) as client:
            yield server, client
    finally:
        await server.stop()


async def quality(services: Services, client: httpx.AsyncClient) -> dict[str, Figures]:
    """Return the share of questions whose document is among the first five, by way and kind."""
    store_id = await _indexed(client, _lines(DOCUMENTS))
    project, row = await _store(services, store_id)
    names = await _names(services)
    asked = _lines(QUESTIONS)

    async def joined(question: str, ranker: Any) -> list[str]:
        found = await search.search(
            services, project, [store_id], question, limit=FIRST, ranker=ranker
        )
        return [each.filename for each in found]

    async def meaning(question: str) -> list[str]:
        vectors = await embedding.of_questions(services, MODEL, [question])
        place = Place(store_id, vectors.shape[1])
        (near,) = await services.vectors.nearest(place, vectors, limit=FIRST)
        return [names[each.chunk] for each in near]

    async def words(question: str) -> list[str]:
        found = await services.database.read(
            lambda c: fulltext.search(c, row.seq, question, limit=FIRST)
        )
        return [names[chunk] for chunk in found]

    ways: dict[str, Callable[[str], Awaitable[list[str]]]] = {
        "meaning": meaning,
        "words": words,
        "joined": lambda question: joined(question, "none"),
        "ranked": lambda question: joined(question, "auto"),
    }
    return {name: await _recall(way, asked) for name, way in ways.items()}


async def _recall(
    way: Callable[[str], Awaitable[list[str]]], asked: Sequence[dict[str, str]]
) -> Figures:
    hits: dict[str, list[bool]] = {}
    for each in asked:
        hit = each["document"] in await way(each["question"])
        for kind in ("all", each["kind"]):
            hits.setdefault(kind, []).append(hit)
    return {kind: round(sum(found) / len(found), 3) for kind, found in hits.items()}


async def _indexed(client: httpx.AsyncClient, documents: Iterable[dict[str, str]]) -> str:
    """Upload documents into a new store and return its id once all are indexed."""
    ids: list[str] = []
    for each in documents:
        file = {"file": (each["name"], each["text"].encode())}
        made = await client.post("/files", data={"purpose": "assistants"}, files=file)
        ids.append(made.raise_for_status().json()["id"])
    made = await client.post("/vector_stores", json={"file_ids": ids})
    store_id = made.raise_for_status().json()["id"]
    shown = await _settled(client, store_id)
    if shown["file_counts"]["completed"] != len(ids):
        sys.exit(f"not all documents were indexed: {shown['file_counts']}")
    return store_id


async def _settled(client: httpx.AsyncClient, store_id: str) -> dict[str, Any]:
    while True:
        shown = (await client.get(f"/vector_stores/{store_id}")).json()
        if shown["status"] == "completed":
            return shown
        await asyncio.sleep(0.5)


async def _store(services: Services, store_id: str) -> tuple[str, Any]:
    project = await services.database.read(lambda c: c.scalar(select(projects.c.id)))
    return project, await services.database.read(lambda c: store.find(c, project, store_id))


async def _names(services: Services) -> dict[int, str]:
    """Return the name of each chunk's document."""

    def read(connection: Any) -> dict[int, str]:
        of_store = select(vector_store_chunks.c.seq)
        numbers = list(connection.scalars(of_store))
        return {seq: row.filename for seq, row in store.chunks(connection, numbers).items()}

    return await services.database.read(read)


async def speed(services: Services, chunks: int) -> Figures:
    """Return what searches of a large store take, in milliseconds, and what they keep in memory."""
    store_id = await _filled(services, chunks)
    project, row = await _store(services, store_id)
    chance = np.random.default_rng(3)
    asked = [" ".join(_word(int(each)) for each in chance.integers(0, 5000, 6)) for _ in range(40)]
    questions = _vectors(chance, len(asked))
    place = Place(store_id, DIMENSIONS)

    async def meaning(number: int) -> None:
        one = questions[number : number + 1]
        await services.vectors.nearest(place, one, limit=WIDE)

    async def words(number: int) -> None:
        await services.database.read(
            lambda c: fulltext.search(c, row.seq, asked[number], limit=WIDE)
        )

    async def whole(number: int) -> None:
        await search.search(services, project, [store_id], asked[number], limit=20)

    figures: Figures = {"chunks": float(chunks), "first search, ms": (await _times(meaning, 1))[0]}
    for name, way in (("meaning", meaning), ("words", words), ("whole search", whole)):
        times = await _times(way, len(asked))
        figures[f"{name} p50, ms"] = round(median(times), 1)
        figures[f"{name} best, ms"] = round(min(times), 1)
    figures["kept vectors, MB"] = services.vectors.resident_bytes / 1e6
    if approximate.is_installed():
        figures |= await _approximately(services, place, questions)
    figures["peak of the process, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return figures


async def _approximately(services: Services, place: Place, questions: np.ndarray) -> Figures:
    """Return what a graph takes to grow and to search, and what of the exact answer it finds."""
    searched = Vectors(services.database, 10**9, approximate_from=1)
    began = time.perf_counter()
    await searched.nearest(place, questions[:1], limit=WIDE)
    await searched.caught_up()
    figures = {"graph grown, s": round(time.perf_counter() - began, 1)}
    shares: list[float] = []

    async def near(number: int) -> None:
        one = questions[number : number + 1]
        (found,) = await searched.nearest(place, one, limit=20)
        answers.append({each.chunk for each in found})

    answers: list[set[int]] = []
    times = await _times(near, len(questions))
    for number, found in enumerate(answers):
        one = questions[number : number + 1]
        (exact,) = await services.vectors.nearest(place, one, limit=20)
        shares.append(len(found & {each.chunk for each in exact}) / len(exact))
    figures["approximate p50, ms"] = round(median(times), 2)
    figures["approximate recall of 20"] = round(sum(shares) / len(shares), 3)
    figures["vectors and graph, MB"] = searched.resident_bytes / 1e6
    await searched.close()
    return figures


async def _times(way: Callable[[int], Awaitable[None]], count: int) -> list[float]:
    times: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        await way(number)
        times.append((time.perf_counter() - began) * 1000)
    return times


async def _filled(services: Services, chunks: int) -> str:
    """Write chunks of made-up words into a new store, as the job that indexes does."""
    project = await services.database.read(lambda c: c.execute(select(projects)).one())
    store_id, now = "vs_bench", int(time.time())
    made = {"id": store_id, "project_id": project.id, "created_at": now, "last_active_at": now}
    await services.database.write(lambda c: store.create(c, {**made, "embedding_model": MODEL}))
    row = await services.database.read(lambda c: store.find(c, project.id, store_id))
    chance = np.random.default_rng(1)
    for number in range(-(-chunks // CHUNKS_OF_A_FILE)):
        file = {"organization_id": project.organization_id, "project_id": project.id}
        rows = _made_up(chance)
        await services.database.write(
            lambda c, file=file, rows=rows, number=number: _write(c, row, file, rows, number)
        )
    return store_id


def _write(
    connection: Any, row: Any, owner: dict[str, str], rows: list[dict[str, Any]], number: int
) -> None:
    name = {"id": f"file-{number}", "filename": f"{number}.txt", "purpose": "assistants"}
    rest = {"created_at": 0, "bytes": 1, "sha256": "", "blob": f"none-{number}"}
    connection.execute(insert(files), {**owner, **name, **rest})
    file_seq = store.add_file(
        connection,
        {
            "vector_store_id": row.id,
            "file_id": name["id"],
            "created_at": 0,
            "status": "completed",
            "chunk_tokens": 800,
            "overlap_tokens": 400,
            "attributes": {},
            "chunks": len(rows),
        },
    )
    last = store.write_chunks(connection, file_seq, row.seq, rows)
    store.change_file(connection, file_seq, ("completed",), last_chunk=last)


def _made_up(chance: np.random.Generator) -> list[dict[str, Any]]:
    """Return the chunks of one file; as in a language, few words are frequent and many rare."""
    vectors = _vectors(chance, CHUNKS_OF_A_FILE)
    ranks = chance.zipf(1.2, (CHUNKS_OF_A_FILE, WORDS_OF_A_CHUNK)) % VOCABULARY
    return [
        {"start": 0, "tokens": 800, "vector": vector.tobytes(), "text": " ".join(map(_word, words))}
        for vector, words in zip(vectors, ranks.tolist(), strict=True)
    ]


@cache
def _word(number: int) -> str:
    """Return a made-up word for a rank."""
    syllables = ("ba", "do", "fi", "gu", "ke", "lo", "mi", "nu", "pe", "ra", "si", "tu", "ve", "zo")
    parts: list[str] = []
    number += len(syllables)
    while number:
        number, part = divmod(number, len(syllables))
        parts.append(syllables[part])
    return "".join(parts)


def _vectors(chance: np.random.Generator, count: int) -> np.ndarray:
    """Return vectors that lie around common topics, as those of texts do."""
    topics = np.random.default_rng(2).standard_normal((TOPICS, DIMENSIONS))
    noise = chance.standard_normal((count, DIMENSIONS))
    return _unit(topics[chance.integers(0, TOPICS, count)] + noise)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--only", choices=["quality", "speed"])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
