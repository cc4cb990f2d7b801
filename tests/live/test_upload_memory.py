"""Uploads and their parts go to disk as they come, never whole into memory."""

import re
import sys
from pathlib import Path

import httpx
import pytest

from servers import live

CONFIG = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
"""
SIZE = 120_000_000
PART = 60_000_000
ADDED = 30_000_000  # far less than one part

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def peak(server):
    """Return the most memory that the server has held until now, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_large_files_and_parts_pass_through_without_being_held(tmp_path):
    with live(tmp_path, CONFIG) as server:
        headers = {"Authorization": f"Bearer {server.key}"}
        with httpx.Client(
            base_url=server.base_url, headers=headers, timeout=100, trust_env=False
        ) as http:
            _send_file(http, 1_000)
            before = peak(server)

            assert _send_file(http, SIZE)["bytes"] == SIZE
            assert _send_in_parts(http)["file"]["bytes"] == SIZE

            assert peak(server) - before < ADDED


def _send_file(http, size):
    sent = {"files": {"file": ("a.bin", b"x" * size)}, "data": {"purpose": "assistants"}}
    return http.post("/files", **sent).raise_for_status().json()


def _send_in_parts(http):
    about = {"filename": "a.bin", "purpose": "assistants", "mime_type": "a/b", "bytes": SIZE}
    path = f"/uploads/{http.post('/uploads', json=about).raise_for_status().json()['id']}"
    parts = [
        http.post(f"{path}/parts", files={"data": b"x" * PART}).raise_for_status().json()["id"]
        for _ in range(SIZE // PART)
    ]
    return http.post(f"{path}/complete", json={"part_ids": parts}).raise_for_status().json()
