"""The page on backups, command by command: what it saves comes back."""

import httpx
import pytest

from docs.blocks import ROOT, blocks, run
from servers import live

CONFIG = """
default_model = "scripted"

[models.scripted]
backend = "scripted"
"""
CONTENT = b"0123456789" * 300_000


@pytest.fixture
def commands():
    """Return the page's commands: those that back up, and those that restore."""
    page = ROOT / "docs/how-to/backup-and-restore.md"
    back_up, restore = [block for block in blocks() if block.page == page]
    return back_up, restore


def client(server, key):
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=server.base_url, headers=headers, timeout=60, trust_env=False)


def uploaded(http):
    answer = http.post("/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", CONTENT)})
    return f"/files/{answer.json()['id']}"


def carried_out(block, folder):
    result = run(block, folder, "http://127.0.0.1:9", "sk-none")
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_was_backed_up_under_load_is_there_after_a_restore(commands, tmp_path):
    back_up, restore = commands
    with live(tmp_path, CONFIG) as server, client(server, server.key) as http:
        key, kept = server.key, uploaded(http)
        carried_out(back_up, tmp_path)
        later = uploaded(http)
        http.delete(kept)
    carried_out(restore, tmp_path)
    with live(tmp_path, CONFIG) as server, client(server, key) as http:
        assert http.get(f"{kept}/content").content == CONTENT
        assert http.get(later).status_code == 404
