"""Indexes files, takes apart what was deleted or has expired."""

from typing import Any, Final

from sqlalchemy import Connection, Row

from freehold.api.context import Services
from freehold.api.tasks import task
from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.data import limits
from freehold.documents.chunking import Chunking
from freehold.documents.errors import UnreadableError
from freehold.documents.reader import Chunk
from freehold.engines.background import Guest, guest
from freehold.jobs.job import Failure, JobContext
from freehold.resources.files import library
from freehold.resources.vector_stores import embedding, store
from freehold.resources.vector_stores.adding import INDEX
from freehold.resources.vector_stores.service import REMOVE

_GOING: Final = ("in_progress",)
_CHUNKS_AT_ONCE: Final = 200
_STORES_AT_ONCE: Final = 100


def _end(connection: Connection, failure: Failure) -> None:
    """End the file of a job that was given up, or cancelled by the operator."""
    values: dict[str, Any] = {"status": failure.state}
    if failure.state == "failed":
        values |= {"error_code": "server_error", "error_message": failure.reason}
    store.change_file(connection, int(failure.key or 0), _GOING, **values)


@task(INDEX, on_failure=_end)
async def index(services: Services, job: JobContext) -> None:
    """Bring one file into its store: all of its chunks at once, or a truthful reason why not."""
    file_seq = int(job.key or 0)
    row = await services.database.read(lambda c: store.load_file(c, file_seq))
    if row is None or row.status not in _GOING or row.deleted_at is not None:
        return
    try:
        chunks = await _chunks(services, row)
    except UnreadableError as error:
        told = {"status": "failed", "error_code": error.code, "error_message": error.message}
        await job.write(lambda c: store.change_file(c, file_seq, _GOING, **told))
        return
    except NotFoundError:  # the file was deleted, and its row in the store with it
        return
    guest.set(Guest())  # live requests go first
    texts = [chunk.text for chunk in chunks]
    vectors = await embedding.of_texts(services, row.embedding_model, texts, job.raise_if_cancelled)
    await job.write(lambda c: _complete(c, row, chunks, vectors))


async def _chunks(services: Services, row: Row[Any]) -> list[Chunk]:
    file = await library.find(services, row.project_id, row.file_id)
    chunking = Chunking(row.chunk_tokens, row.overlap_tokens)
    most = limits.figure("file_search", "file_tokens")
    async with library.local(services, file) as path:
        return await services.reader.chunks(path, file.filename, chunking, most)


def _complete(
    connection: Connection, row: Row[Any], chunks: list[Chunk], vectors: list[bytes]
) -> None:
    """Write all that searches need, and say so, unless the file was taken out meanwhile."""
    there = store.lock(connection, row.vector_store_id)
    if not there or not store.change_file(connection, row.seq, _GOING, status="completed"):
        return
    rows: list[dict[str, Any]] = [
        {"start": chunk.start, "tokens": chunk.tokens, "text": chunk.text, "vector": vector}
        for chunk, vector in zip(chunks, vectors, strict=True)
    ]
    size = sum(len(each["text"].encode()) + len(each["vector"]) for each in rows)
    last = store.write_chunks(connection, row.seq, row.store_seq, rows)
    done = {"usage_bytes": size, "chunks": len(rows), "last_chunk": last}
    store.change_file(connection, row.seq, ("completed",), **done)


@task(REMOVE)
async def remove(services: Services, job: JobContext) -> None:
    """Delete what a deleted store held, bit by bit so that nobody waits for it."""
    store_id = job.key or ""
    await _empty(services, job, store_id)
    await job.write(lambda c: store.remove(c, store_id))


@task("vector_stores.sweep", every_s=limits.figure("sweep", "period_s"))
async def sweep(services: Services, job: JobContext) -> None:
    """Empty stores that have expired; their lists of files stay."""
    while stores := await services.database.read(
        lambda c: store.expired(c, clock.now(), _STORES_AT_ONCE)
    ):
        for store_id in stores:
            await _empty(services, job, store_id)
            await job.write(lambda c, emptied=store_id: store.emptied(c, emptied))
            services.vectors.forget(store_id)


async def _empty(services: Services, job: JobContext, store_id: str) -> None:
    while await services.database.write(lambda c: store.empty_some(c, store_id, _CHUNKS_AT_ONCE)):
        job.raise_if_cancelled()
