"""The private folder of a server: its own while it lives, gone after it."""

import os
import signal
import subprocess
import sys

import pytest

from freehold.core.runtime import RuntimeFolder

HOLD = """
import sys
from freehold.core.runtime import RuntimeFolder
folder = RuntimeFolder.take()
(folder.path / "engine.sock").touch()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(temporary):
    """Return a process that holds a folder, once it does, and the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, temporary / process.stdout.readline().strip()
        process.kill()


def test_a_folder_is_private_and_gone_once_removed(temporary):
    folder = RuntimeFolder.take()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_folders_of_servers_that_live_stay(other):
    _, held = other
    folder = RuntimeFolder.take()
    assert (held / "engine.sock").exists()
    folder.remove()


def test_the_folder_of_a_killed_server_is_removed_at_the_next_start(other, temporary):
    process, held = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert held.exists()
    folder = RuntimeFolder.take()
    assert list(temporary.iterdir()) == [folder.path]
    folder.remove()


def test_what_no_server_made_stays(temporary):
    (temporary / "freehold-notes").mkdir()
    (temporary / "freehold-notes" / "letter").touch()
    (temporary / "freehold-file").touch()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (temporary / "freehold-link").symlink_to(elsewhere)
    before = set(temporary.iterdir())
    folder = RuntimeFolder.take()
    assert set(temporary.iterdir()) == before | {folder.path}
    assert (elsewhere / "lock").exists()
    folder.remove()
