"""Every SQL statement of vector stores, their files and batches."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from freehold.storage import fulltext
from freehold.storage.paging import Cursors, paged
from freehold.storage.tables import (
    files,
    vector_store_batch_files,
    vector_store_batches,
    vector_store_chunks,
    vector_store_files,
    vector_stores,
)

_STORE, _FILE = vector_stores.c, vector_store_files.c
_BATCH, _LINK = vector_store_batches.c, vector_store_batch_files.c
_CHUNK = vector_store_chunks.c


def create(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(vector_stores), dict(row))


def find(connection: Connection, project_id: str, store_id: str) -> Row[Any] | None:
    """Return the store of this id, None where the project has no such one."""
    return connection.execute(_stores(project_id).where(_STORE.id == store_id)).one_or_none()


def find_all(connection: Connection, project_id: str, ids: Sequence[str]) -> list[Row[Any]]:
    """Return those of the stores that the project has."""
    return list(connection.execute(_stores(project_id).where(_STORE.id.in_(ids))))


def page(connection: Connection, project_id: str, cursors: Cursors) -> tuple[list[Row[Any]], bool]:
    return paged(connection, _stores(project_id), _STORE.seq, cursors)


def change(connection: Connection, store_id: str, **values: Any) -> None:
    connection.execute(update(vector_stores).where(_STORE.id == store_id).values(**values))


def expired(connection: Connection, now: int, limit: int) -> list[str]:
    """Return the ids of stores that have expired and still hold chunks."""
    holds = select(_FILE.seq).where(_FILE.vector_store_id == _STORE.id, _FILE.chunks > 0).exists()
    statement = select(_STORE.id).where(_STORE.expires_at <= now, holds)
    return list(connection.scalars(statement.limit(limit)))


def empty_some(connection: Connection, store_id: str, limit: int) -> bool:
    """Delete up to ``limit`` chunks of a store; False where it has none."""
    of_store = select(_FILE.seq).where(_FILE.vector_store_id == store_id)
    some = select(_CHUNK.seq).where(_CHUNK.file_seq.in_(of_store)).limit(limit)
    return bool(
        connection.execute(delete(vector_store_chunks).where(_CHUNK.seq.in_(some))).rowcount
    )


def emptied(connection: Connection, store_id: str) -> None:
    """Note which files of a store have no chunks any more."""
    holds = select(_CHUNK.seq).where(_CHUNK.file_seq == _FILE.seq).exists()
    of_store = update(vector_store_files).where(_FILE.vector_store_id == store_id, ~holds)
    connection.execute(of_store.values(usage_bytes=0, chunks=0))


def remove(connection: Connection, store_id: str) -> None:
    """Delete the row of a store and of all that belongs to it."""
    connection.execute(delete(vector_stores).where(_STORE.id == store_id))


def counts(
    connection: Connection, store_ids: Sequence[str]
) -> dict[str, dict[str, tuple[int, int]]]:
    """Return how many files are in each status, and their bytes, by store."""
    counted = select(
        _FILE.vector_store_id, _FILE.status, func.count(), func.sum(_FILE.usage_bytes)
    ).where(_FILE.vector_store_id.in_(store_ids))
    found: dict[str, dict[str, tuple[int, int]]] = {store_id: {} for store_id in store_ids}
    for store_id, status, count, size in connection.execute(
        counted.group_by(_FILE.vector_store_id, _FILE.status)
    ):
        found[store_id][status] = count, int(size or 0)
    return found


def known_files(connection: Connection, project_id: str, ids: Sequence[str]) -> set[str]:
    """Return those of the files that the project has; they are not deleted before the unit ends."""
    mine = select(files.c.id).where(files.c.project_id == project_id, files.c.id.in_(ids))
    return set(connection.scalars(mine.with_for_update(read=True, key_share=True)))


def add_file(connection: Connection, row: Mapping[str, Any]) -> int:
    """Write a new file of a store and return its number."""
    key = connection.execute(insert(vector_store_files), dict(row)).inserted_primary_key
    assert key is not None  # noqa: S101 - narrows the type: there is one
    return key[0]


def file(connection: Connection, store_id: str, file_id: str) -> Row[Any] | None:
    """Return a file of a store, None where it has no such one."""
    mine = _files(_FILE.vector_store_id == store_id, _FILE.file_id == file_id)
    return connection.execute(mine).one_or_none()


def load_file(connection: Connection, file_seq: int) -> Row[Any] | None:
    """Return a file for its job, with what its store and the uploaded file say."""
    both = (
        select(
            vector_store_files,
            _STORE.seq.label("store_seq"),
            _STORE.embedding_model,
            _STORE.project_id,
            _STORE.deleted_at,
        )
        .join(vector_stores, _STORE.id == _FILE.vector_store_id)
        .where(_FILE.seq == file_seq)
    )
    return connection.execute(both).one_or_none()


def page_of_files(
    connection: Connection,
    store_id: str,
    cursors: Cursors,
    *,
    status: str | None = None,
    batch_id: str | None = None,
) -> tuple[list[Row[Any]], bool]:
    statement = _files(_FILE.vector_store_id == store_id)
    if status is not None:
        statement = statement.where(_FILE.status == status)
    if batch_id is not None:
        of_batch = select(_LINK.file_seq).where(_LINK.batch_id == batch_id)
        statement = statement.where(_FILE.seq.in_(of_batch))
    return paged(connection, statement, _FILE.seq, cursors)


def change_file(
    connection: Connection, file_seq: int, expected: Collection[str], **values: Any
) -> bool:
    """Change a file in one of the expected statuses; False where it is in another, or gone."""
    statement = update(vector_store_files).where(_FILE.seq == file_seq, _FILE.status.in_(expected))
    return bool(connection.execute(statement.values(**values)).rowcount)


def remove_file(connection: Connection, file_seq: int) -> None:
    """Delete a file of a store with its chunks."""
    connection.execute(delete(vector_store_files).where(_FILE.seq == file_seq))


def lock(connection: Connection, store_id: str) -> bool:
    """Have others that change the files of a store wait for this unit; False where it is gone."""
    mine = select(_STORE.seq).where(_STORE.id == store_id, _STORE.deleted_at.is_(None))
    return connection.scalar(mine.with_for_update()) is not None


def write_chunks(
    connection: Connection, file_seq: int, store_seq: int, rows: Sequence[Mapping[str, Any]]
) -> int:
    """Write the chunks of a file and the index of their words; return the last one's number."""
    numbers = {"file_seq": file_seq, "store_seq": store_seq}
    connection.execute(insert(vector_store_chunks), [{**numbers, **row} for row in rows])
    fulltext.add_file(connection, file_seq)
    last = select(func.max(_CHUNK.seq)).where(_CHUNK.file_seq == file_seq)
    return connection.scalar(last) or 0


def texts(connection: Connection, file_seq: int) -> list[Row[int, str]]:
    """Return where each chunk of a file begins, and its text, in order."""
    mine = select(_CHUNK.start, _CHUNK.text).where(_CHUNK.file_seq == file_seq)
    return list(connection.execute(mine.order_by(_CHUNK.seq)))


def chunks(connection: Connection, numbers: Collection[int]) -> dict[int, Any]:
    """Return rows of chunks by number, with what is known of their files."""
    both = (
        select(
            _CHUNK.seq,
            _CHUNK.text,
            _CHUNK.tokens,
            _CHUNK.vector,
            _FILE.file_id,
            _FILE.attributes,
            files.c.filename,
        )
        .join(vector_store_files, _FILE.seq == _CHUNK.file_seq)
        .join(files, files.c.id == _FILE.file_id)
        .where(_CHUNK.seq.in_(numbers))
    )
    return {row.seq: row for row in connection.execute(both)}


def attributes(connection: Connection, store_id: str) -> list[Row[int, Any]]:
    """Return the number and attributes of each file of a store that can be searched."""
    done = (_FILE.vector_store_id == store_id, _FILE.status == "completed")
    return list(connection.execute(select(_FILE.seq, _FILE.attributes).where(*done)))


def create_batch(connection: Connection, row: Mapping[str, Any], file_seqs: Sequence[int]) -> None:
    connection.execute(insert(vector_store_batches), dict(row))
    links = [{"batch_id": row["id"], "file_seq": seq} for seq in file_seqs]
    connection.execute(insert(vector_store_batch_files), links)


def find_batch(connection: Connection, store_id: str, batch_id: str) -> Row[Any] | None:
    """Return the batch of this id, None where the store has no such one."""
    mine = (_BATCH.vector_store_id == store_id, _BATCH.id == batch_id)
    return connection.execute(select(vector_store_batches).where(*mine)).one_or_none()


def cancel_batch(connection: Connection, batch_id: str, now: int) -> list[int]:
    """Cancel the files of a batch that are in progress, and return their numbers."""
    mine = select(_LINK.file_seq).where(_LINK.batch_id == batch_id)
    going = (_FILE.seq.in_(mine), _FILE.status == "in_progress")
    seqs = list(connection.scalars(select(_FILE.seq).where(*going)))
    stopped = update(vector_store_files).where(*going).values(status="cancelled")
    connection.execute(stopped)
    ended = update(vector_store_batches).where(_BATCH.id == batch_id, _BATCH.cancelled_at.is_(None))
    connection.execute(ended.values(cancelled_at=now))
    return seqs


def batch_counts(connection: Connection, batch_id: str) -> dict[str, int]:
    """Return how many files of a batch are in each status."""
    counted = (
        select(_FILE.status, func.count())
        .join(vector_store_batch_files, _LINK.file_seq == _FILE.seq)
        .where(_LINK.batch_id == batch_id)
        .group_by(_FILE.status)
    )
    return {row[0]: row[1] for row in connection.execute(counted)}


def _stores(project_id: str) -> Select[Any]:
    mine = (_STORE.project_id == project_id, _STORE.deleted_at.is_(None))
    return select(vector_stores).where(*mine)


def _files(*where: ColumnElement[bool]) -> Select[Any]:
    return select(vector_store_files).where(*where)
