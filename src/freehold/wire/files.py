"""Files: what the operations on them take and answer."""

from typing import Literal

from freehold.wire.shared import Answer, ListQuery

FilePurpose = Literal["assistants", "batch", "fine-tune", "vision"]
OutputPurpose = Literal["assistants_output", "batch_output", "fine-tune-results"]


class FileObject(Answer):
    """A file, whose bytes are ready to use."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: FilePurpose | OutputPurpose
    status: Literal["processed"]


class FileListParams(ListQuery):
    """The query of ``listFiles``."""

    limit: int = 10_000
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


class FileDeleted(Answer):
    id: str
    object: Literal["file"]
    deleted: bool
