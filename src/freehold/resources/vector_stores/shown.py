"""Rows as the API shows them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.wire.vector_stores import (
    ExpiresAfterAnswer,
    FileCounts,
    LastError,
    StaticChunking,
    StaticChunks,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)


def unknown(store_id: str, param: str | None = None) -> NotFoundError:
    """Return what is said of a store that is not there."""
    return NotFoundError(f"No vector store found with id '{store_id}'.", param=param)


def is_expired(row: Row[Any]) -> bool:
    """Return whether a store has expired."""
    return row.expires_at is not None and row.expires_at <= clock.now()


def store(row: Row[Any], counted: Mapping[str, tuple[int, int]]) -> VectorStore:
    """Return a store; ``counted`` holds the number of its files and their bytes by status."""
    counts = _counts({status: count for status, (count, _) in counted.items()})
    working = "in_progress" if counts.in_progress else "completed"
    fields: dict[str, Any] = {}
    if row.expires_after_days is not None:
        days = row.expires_after_days
        fields["expires_after"] = ExpiresAfterAnswer(anchor="last_active_at", days=days)
    return VectorStore(
        id=row.id,
        object="vector_store",
        created_at=row.created_at,
        name=row.name or "",
        usage_bytes=sum(size for _, size in counted.values()),
        file_counts=counts,
        status="expired" if is_expired(row) else working,
        expires_at=row.expires_at,
        last_active_at=row.last_active_at,
        metadata=row.metadata or {},
        **fields,
    )


def file(row: Row[Any]) -> VectorStoreFile:
    """Return a file of a store."""
    error = None
    if row.error_code is not None:
        error = LastError(code=row.error_code, message=row.error_message)
    chunks = StaticChunks(
        max_chunk_size_tokens=row.chunk_tokens, chunk_overlap_tokens=row.overlap_tokens
    )
    return VectorStoreFile(
        id=row.file_id,
        object="vector_store.file",
        usage_bytes=row.usage_bytes,
        created_at=row.created_at,
        vector_store_id=row.vector_store_id,
        status=row.status,
        last_error=error,
        chunking_strategy=StaticChunking(type="static", static=chunks),
        attributes=row.attributes,
    )


def batch(row: Row[Any], counted: Mapping[str, int]) -> VectorStoreFileBatch:
    """Return a batch; ``counted`` holds the number of its files by status."""
    counts = _counts(counted)
    if row.cancelled_at is not None:
        status = "cancelled"
    elif counts.in_progress:
        status = "in_progress"
    else:
        status = "failed" if counts.failed and counts.failed == counts.total else "completed"
    return VectorStoreFileBatch(
        id=row.id,
        object="vector_store.files_batch",
        created_at=row.created_at,
        vector_store_id=row.vector_store_id,
        status=status,
        file_counts=counts,
    )


def _counts(counted: Mapping[str, int]) -> FileCounts:
    return FileCounts(
        in_progress=counted.get("in_progress", 0),
        completed=counted.get("completed", 0),
        failed=counted.get("failed", 0),
        cancelled=counted.get("cancelled", 0),
        total=sum(counted.values()),
    )
