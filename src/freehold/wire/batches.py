"""Batches: what the operations on them take and answer."""

from typing import Literal

from freehold.wire.files import ExpiresAfter
from freehold.wire.shared import Answer, Id, Params, Query

Status = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]


class BatchCreateParams(Params):
    """The body of ``createBatch``."""

    input_file_id: Id
    endpoint: Literal[
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations"
    ]
    completion_window: Literal["24h"]
    metadata: dict[str, str] | None = None
    output_expires_after: ExpiresAfter | None = None


class BatchListParams(Query):
    """The query of ``listBatches``."""

    after: str | None = None
    limit: int = 20


class BatchError(Answer):
    """What is wrong with the input; ``line`` counts from 1, None where it is not about one."""

    code: str
    message: str
    param: str | None
    line: int | None


class Errors(Answer):
    object: Literal["list"]
    data: list[BatchError]


class BatchRequestCounts(Answer):
    total: int
    completed: int
    failed: int


class Batch(Answer):
    id: str
    object: Literal["batch"]
    endpoint: str
    errors: Errors | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: BatchRequestCounts
    metadata: dict[str, str] | None
