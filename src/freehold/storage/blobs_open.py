"""From an address to a store of blobs."""

from pathlib import Path

from freehold.storage.blobs import Blobs
from freehold.storage.blobs_disk import DiskBlobs


def open_blobs(address: str | None, folder: Path) -> Blobs:
    """Return the store at ``s3://bucket/prefix``; where there is no address, that in ``folder``."""
    if address is None:
        return DiskBlobs(folder)
    from freehold.storage.blobs_s3 import S3Blobs  # noqa: PLC0415 - imports obstore, an extra

    return S3Blobs(address)
