"""Files: what the operations on them take and answer."""

from typing import Literal

from freehold.wire.shared import Answer, ListQuery, Params

FilePurpose = Literal["assistants", "batch", "fine-tune", "vision"]
OutputPurpose = Literal["assistants_output", "batch_output", "fine-tune-results"]


class ExpiresAfter(Params):
    """How many seconds after the file was created it expires."""

    anchor: Literal["created_at"]
    seconds: int


class FileCreateParams(Params):
    """The form of ``createFile``, beside its file."""

    purpose: FilePurpose
    expires_after: ExpiresAfter | None = None


class FileObject(Answer):
    """A file, whose bytes are ready to use; ``expires_at`` is there where it expires."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: FilePurpose | OutputPurpose
    status: Literal["processed"]
    expires_at: int | None = None


class FileListParams(ListQuery):
    """The query of ``listFiles``."""

    limit: int = 10_000
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


class FileDeleted(Answer):
    id: str
    object: Literal["file"]
    deleted: bool
