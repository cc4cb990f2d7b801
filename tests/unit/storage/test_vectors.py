"""The vectors of stores are found as they are now, within the memory they may take."""

import numpy as np
import pytest
from sqlalchemy import insert, select

from freehold.storage import approximate, fulltext, vectors
from freehold.storage.sqlite import SQLiteDatabase
from freehold.storage.tables import (
    files,
    metadata,
    organizations,
    projects,
    vector_store_chunks,
    vector_store_files,
    vector_stores,
)
from freehold.storage.vectors import OtherLengthError, Place, Vectors

PLACE = Place("vs_1", 8)
LARGE = 1_000_000


def unit(count, seed=0):
    made = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
async def database():
    opened = SQLiteDatabase(None, schema=metadata)

    def fill(connection):
        for store_id in ("vs_1", "vs_2"):
            row = {"project_id": "p", "created_at": 0, "embedding_model": "m", "last_active_at": 0}
            connection.execute(insert(vector_stores), {"id": store_id, **row})

    def begin(connection):
        connection.execute(insert(organizations), {"id": "o", "name": "o", "created_at": 0})
        row = {"id": "p", "organization_id": "o", "name": "p", "created_at": 0}
        connection.execute(insert(projects), row)
        fill(connection)

    await opened.write(begin)
    yield opened
    await opened.close()


async def add(database, name, rows, store_id="vs_1", status="completed"):
    """Write a file with these vectors and return the numbers of its chunks."""

    def unit_of_work(connection):
        owner = {"organization_id": "o", "project_id": "p", "created_at": 0}
        row = {"id": name, "filename": name, "purpose": "x", "bytes": 1, "sha256": "", "blob": name}
        connection.execute(insert(files), {**owner, **row})
        file = {"vector_store_id": store_id, "file_id": name, "created_at": 0, "status": status}
        sizes = {"chunk_tokens": 800, "overlap_tokens": 400, "attributes": {}, "chunks": len(rows)}
        done = connection.execute(insert(vector_store_files), {**file, **sizes})
        seq = done.inserted_primary_key[0]
        chunk = {"file_seq": seq, "store_seq": 1, "start": 0, "tokens": 1, "text": name}
        connection.execute(
            insert(vector_store_chunks), [{**chunk, "vector": row.tobytes()} for row in rows]
        )
        fulltext.add_file(connection, seq)
        mine = select(vector_store_chunks.c.seq).where(vector_store_chunks.c.file_seq == seq)
        numbers = list(connection.scalars(mine))
        table = vector_store_files
        connection.execute(table.update().where(table.c.seq == seq).values(last_chunk=max(numbers)))
        return seq, numbers

    return await database.write(unit_of_work)


async def remove(database, seq):
    table = vector_store_files
    await database.write(lambda c: c.execute(table.delete().where(table.c.seq == seq)).rowcount)


@pytest.fixture(params=[LARGE, 0], ids=["kept", "read in blocks"])
async def found(request, database):
    """Return a search for the nearest, with vectors kept in memory and without."""
    searched = Vectors(database, request.param, LARGE)

    async def search(question, limit=3, **options):
        (near,) = await searched.nearest(PLACE, question.reshape(1, -1), limit=limit, **options)
        return [each.chunk for each in near]

    yield search
    await searched.close()


async def test_nearest_come_first(database, found):
    rows = unit(100)
    _, numbers = await add(database, "a", rows)
    question = unit(1, seed=5)[0]
    best = np.argsort(-(rows @ question))[:3]
    assert await found(question) == [numbers[index] for index in best]


async def test_files_that_come_and_go_are_seen_at_once(database, found):
    rows = unit(4)
    first, (one, *_) = await add(database, "a", rows[:2])
    assert (await found(rows[0]))[0] == one
    second, (_, four) = await add(database, "b", rows[2:])
    assert (await found(rows[3]))[0] == four
    await remove(database, first)
    assert one not in await found(rows[0], limit=10)
    await remove(database, second)
    assert await found(rows[0]) == []


async def test_only_chosen_files_count(database, found):
    rows = unit(4)
    await add(database, "a", rows[:2])
    second, numbers = await add(database, "b", rows[2:])
    assert set(await found(rows[0], files=[second])) == set(numbers)


async def test_files_of_other_stores_and_unfinished_ones_do_not_count(database, found):
    rows = unit(4)
    await add(database, "a", rows[:2], store_id="vs_2")
    await add(database, "b", rows[2:], status="in_progress")
    assert await found(rows[0]) == []


async def test_vectors_of_another_length_are_an_error_and_no_silence(database, found):
    await add(database, "b", unit(1))
    file_seq, _ = await add(database, "a", unit(3)[:, :4].copy())
    with pytest.raises(OtherLengthError, match="4 numbers, not 8"):
        await found(unit(1)[0])
    await remove(database, file_seq)
    assert len(await found(unit(1)[0])) == 1


async def test_memory_is_bounded(database):
    for store_id in ("vs_1", "vs_2"):
        await add(database, store_id, unit(100), store_id=store_id)
    searched = Vectors(database, 5000, LARGE)
    for store_id in ("vs_1", "vs_2", "vs_1"):
        await searched.nearest(Place(store_id, 8), unit(1), limit=3)
        assert 0 < searched.resident_bytes <= 5000
    searched.forget("vs_1")
    assert searched.resident_bytes == 0


async def test_only_what_is_new_is_read(database, monkeypatch):
    await add(database, "a", unit(10))
    searched = Vectors(database, LARGE, LARGE)
    await searched.nearest(PLACE, unit(1), limit=3)
    read = []
    original = vectors._vectors
    monkeypatch.setattr(vectors, "_vectors", lambda c, seqs: read.append(seqs) or original(c, seqs))
    await searched.nearest(PLACE, unit(1), limit=3)
    assert read == []
    second, _ = await add(database, "b", unit(5))
    await searched.nearest(PLACE, unit(1), limit=3)
    assert read == [[second]]


@pytest.mark.skipif(not approximate.is_installed(), reason="needs the extra usearch")
async def test_large_store_is_searched_by_a_graph_that_follows_it(database):
    rows = unit(200)
    first, numbers = await add(database, "a", rows[:100])
    searched = Vectors(database, LARGE, 100)

    async def nearest(row):
        (near,) = await searched.nearest(PLACE, row.reshape(1, -1), limit=1)
        return near[0].chunk, near[0].similarity

    async def grown():
        await searched.caught_up()
        assert searched._kept[PLACE].graph_state == searched._kept[PLACE].state

    assert (await nearest(rows[0]))[0] == numbers[0]
    await grown()
    assert await nearest(rows[7]) == (numbers[7], pytest.approx(1, abs=1e-2))
    _, more = await add(database, "b", rows[100:])
    assert (await nearest(rows[150]))[0] == more[50]
    await grown()
    assert (await nearest(rows[151]))[0] == more[51]
    await add(database, "c", rows[:1])
    await remove(database, first)
    await nearest(rows[0])
    await grown()
    assert (await nearest(rows[1]))[0] not in numbers
    await searched.close()
    assert searched.resident_bytes == 0
