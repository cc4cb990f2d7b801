"""From an address to a store of blobs."""

import importlib.util
from pathlib import Path

from freehold.core.settings import SettingsError
from freehold.storage.blobs import Blobs
from freehold.storage.blobs_disk import DiskBlobs


def open_blobs(address: str | None, folder: Path) -> Blobs:
    """Return the store at ``s3://bucket/prefix``; where there is no address, that in ``folder``.

    Raises ``SettingsError`` where what the store needs is not installed.
    """
    if address is None:
        return DiskBlobs(folder)
    if importlib.util.find_spec("obstore") is None:
        raise SettingsError(
            "Setting blobs_url needs a package that is not installed: pip install 'freehold[s3]'"
        )
    from freehold.storage.blobs_s3 import S3Blobs  # noqa: PLC0415 - imports obstore, an extra

    return S3Blobs(address)
