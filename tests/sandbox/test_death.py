"""What is left of sessions when their server is killed: nothing."""

import asyncio
import os
from pathlib import Path

import pytest

from sandbox import guard
from sandbox.conftest import GROUNDS


def lives(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("jail", "user"), GROUNDS)
async def test_a_killed_server_leaves_no_process(jail, user):
    if reason := guard.impossible(user):
        pytest.skip(reason)
    prison = await guard.Guard.begin(jail, user)
    if reason := prison.told.get("refused"):
        await prison.close()
        pytest.skip(reason)
    await prison.run("a", "import subprocess; 1")
    running = asyncio.create_task(prison.run("a", "subprocess.run(['sleep', '1000'])"))
    async with asyncio.timeout(60):
        while len(pids := (await prison.ask("processes", key="a"))["pids"]) < 3:
            await asyncio.sleep(0.05)
        os.kill(prison.told["pid"], 9)
        while any(map(lives, pids)):
            await asyncio.sleep(0.05)
    await prison.close()
    with pytest.raises(ConnectionError):
        await running
