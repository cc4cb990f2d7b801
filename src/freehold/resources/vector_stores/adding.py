"""Files on their way into a store: each becomes a row and a job that indexes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row

from freehold.core import clock, messages
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.data import limits
from freehold.documents.chunking import Chunking
from freehold.jobs.queue import Jobs
from freehold.resources.vector_stores import shown, store
from freehold.wire.vector_stores import (
    AutoFileChunkingStrategyParam,
    StaticFileChunkingStrategyParam,
)

INDEX: Final = "vector_stores.index"
PRIORITY: Final = -1  # behind what somebody waits for, before the sweeps


@dataclass(frozen=True, slots=True)
class New:
    """A file to be added; without attributes it keeps those it may already have."""

    file_id: str
    chunking: Chunking
    attributes: Mapping[str, Any] | None


def chunking(
    strategy: AutoFileChunkingStrategyParam | StaticFileChunkingStrategyParam | None,
    param: str = "chunking_strategy",
) -> Chunking:
    """Return how large chunks are. Raises ``BadRequestError`` where they overlap too much."""
    if not isinstance(strategy, StaticFileChunkingStrategyParam):
        figure = limits.figure
        return Chunking(
            figure("file_search", "chunk_tokens"), figure("file_search", "overlap_tokens")
        )
    size, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap > size // 2:
        raise messages.above_maximum(
            f"{param}.static.chunk_overlap_tokens", overlap, size // 2, "integer"
        )
    return Chunking(size, overlap)


def add(connection: Connection, jobs: Jobs, to: Row[Any], files: Sequence[New]) -> list[int]:
    """Add files to a store in the caller's own unit, and return their numbers.

    One that is there already, cut in the same way, stays as it is. Raises ``NotFoundError`` for a
    store or a file that is gone, ``BadRequestError`` where there would be too many.
    """
    if not store.lock(connection, to.id):
        raise shown.unknown(to.id)
    ids = [file.file_id for file in files]
    known = store.known_files(connection, to.project_id, ids)
    for file_id in ids:
        if file_id not in known:
            raise NotFoundError(f"No such File object: {file_id}", param="file_id")
    numbers = [_add(connection, jobs, to, file) for file in files]
    _check_room(connection, to.id)
    return list(dict.fromkeys(numbers))


def remove(connection: Connection, jobs: Jobs, file_seq: int) -> None:
    """Take a file out of its store, in the caller's own unit."""
    jobs.cancel(connection, INDEX, str(file_seq))
    store.remove_file(connection, file_seq)


def _add(connection: Connection, jobs: Jobs, to: Row[Any], file: New) -> int:
    there = store.file(connection, to.id, file.file_id)
    if there is not None:
        kept = there.attributes if file.attributes is None else dict(file.attributes)
        same = Chunking(there.chunk_tokens, there.overlap_tokens) == file.chunking
        if same and there.status in ("in_progress", "completed"):
            store.change_file(connection, there.seq, (there.status,), attributes=kept)
            return there.seq
        remove(connection, jobs, there.seq)
    else:
        kept = dict(file.attributes or {})
    row = {
        "vector_store_id": to.id,
        "file_id": file.file_id,
        "created_at": clock.now(),
        "status": "in_progress",
        "chunk_tokens": file.chunking.size,
        "overlap_tokens": file.chunking.overlap,
        "attributes": kept,
    }
    seq = store.add_file(connection, row)
    jobs.enqueue(connection, INDEX, {}, project_id=to.project_id, priority=PRIORITY, key=str(seq))
    return seq


def _check_room(connection: Connection, store_id: str) -> None:
    most = limits.figure("file_search", "files")
    counted = store.counts(connection, [store_id])[store_id]
    if sum(count for count, _ in counted.values()) > most:
        raise BadRequestError(f"A vector store can hold at most {most:,} files.", param="file_ids")
