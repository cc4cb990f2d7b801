"""Uploads in parts: what the operations on them take and answer."""

from typing import Literal

from freehold.wire.files import ExpiresAfter, FileObject, FilePurpose
from freehold.wire.shared import Answer, Params


class UploadCreateParams(Params):
    """The body of ``createUpload``; ``bytes`` and ``expires_after`` are about the whole file."""

    filename: str
    purpose: FilePurpose
    bytes: int
    mime_type: str
    expires_after: ExpiresAfter | None = None


class UploadCompleteParams(Params):
    """The body of ``completeUpload``; ``md5`` is of the whole file, in hexadecimal digits."""

    part_ids: list[str]
    md5: str | None = None


class Upload(Answer):
    """An upload; ``file`` is there once it is completed."""

    id: str
    object: Literal["upload"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: FilePurpose
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileObject | None = None


class UploadPart(Answer):
    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str
