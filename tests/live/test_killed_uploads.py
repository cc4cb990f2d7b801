"""A server that is killed while it puts an upload together does so after its next start."""

import asyncio
import hashlib
import os
import signal
import threading
import time

import httpx

from freehold.core import clock
from servers import in_process, live

CONFIG = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
"""
PART = os.urandom(1_000_000) * 60


def client(server, key):
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=server.base_url, headers=headers, timeout=60, trust_env=False)


def begun(http, parts):
    """Return the path of an upload, and its parts in order."""
    size = len(PART) * parts
    body = {"filename": "a.bin", "purpose": "assistants", "bytes": size, "mime_type": "a/b"}
    path = f"/uploads/{http.post('/uploads', json=body).json()['id']}"
    sent = [http.post(f"{path}/parts", files={"data": PART}).json()["id"] for _ in range(parts)]
    return path, sent


def partial(state_dir):
    return list((state_dir / "blobs").glob("*/*.partial"))


def kill_once_writing(server):
    """Kill the server as soon as the file is being written."""
    until = time.monotonic() + 30
    while not partial(server.state_dir) and time.monotonic() < until:
        time.sleep(0.001)
    server.process.send_signal(signal.SIGKILL)


def complete_and_kill(http, server, path, part_ids):
    """Ask for the file, kill the server meanwhile, and say whether an answer came."""
    killer = threading.Thread(target=kill_once_writing, args=[server])
    killer.start()
    try:
        http.post(f"{path}/complete", json={"part_ids": part_ids})
    except httpx.TransportError:
        return False
    finally:
        killer.join()
    return True


async def test_killed_assembly_ends_as_one_file_and_leaves_nothing(tmp_path, monkeypatch):
    with live(tmp_path, CONFIG) as server:
        key = server.key
        with client(server, key) as http:
            path, part_ids = begun(http, 4)
            assert not complete_and_kill(http, server, path, part_ids)
    with live(tmp_path, CONFIG) as server, client(server, key) as http:
        done = http.post(f"{path}/complete", json={"part_ids": part_ids}).json()
        assert http.post(f"{path}/complete", json={"part_ids": part_ids}).json() == done
        assert [file["id"] for file in http.get("/files").json()["data"]] == [done["file"]["id"]]
        assert done["file"]["bytes"] == len(PART) * 4
    digest = hashlib.sha256(PART * 4).hexdigest()
    await swept(tmp_path / "state", monkeypatch)
    (blob,) = (tmp_path / "state" / "blobs").glob("*/*")
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == digest


async def swept(state_dir, monkeypatch):
    """Start a server when the next sweep is due, until the killed writer's bytes are gone."""
    moment = clock.now() + 2 * 3600
    monkeypatch.setattr(clock, "now", lambda: moment)
    async with in_process(state_dir), asyncio.timeout(30):
        while partial(state_dir):
            await asyncio.sleep(0.1)
