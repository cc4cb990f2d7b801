"""What takes too much is bounded, or ends its own session with a reason; others live on."""

import asyncio

import pytest

pytestmark = pytest.mark.usefixtures("bystander")

ENDED = "The session was ended: "


async def test_a_memory_bomb_gets_a_memory_error_and_keeps_its_variables(prison):
    await prison.run("bomb", "kept = 7")
    result = await prison.run("bomb", "held = [bytearray(1 << 30) for _ in range(64)]")
    assert result["error"] == "MemoryError"
    assert (await prison.run("bomb", "kept"))["text"] == "7\n"


BOMBS = {
    "eight processes": """
        import os, time
        for number in range(8):
            if os.fork() == 0:
                held = b"x" * (50 << 20)
                time.sleep(60)
        time.sleep(60)
    """,
    "shared memory": """
        import mmap
        held = []
        while True:
            held.append(mmap.mmap(-1, 16 << 20))
            held[-1].write(b"x" * (16 << 20))
    """,
}


@pytest.mark.parametrize("name", BOMBS)
async def test_memory_is_counted_over_the_whole_session(prison, name):
    result = await prison.run("bomb", _dedent(BOMBS[name]))
    assert result["error"] == ENDED + "it used more than 128 MB of memory."
    after = await prison.run("bomb", "'kept' in globals()")
    assert after["text"].startswith("[A new session: it used more than 128 MB of memory.")
    assert after["text"].endswith("False\n")


async def test_memory_that_children_share_counts_once(prison):
    code = """
        import os, time
        held = b"x" * (60 << 20)
        children = []
        for number in range(6):
            child = os.fork()
            if child == 0:
                time.sleep(0.5)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    """
    assert (await prison.run("shared", _dedent(code)))["error"] is None


async def test_a_fork_bomb_reaches_the_limit_of_its_session(prison):
    code = """
        import os, time
        made = 0
        try:
            while made < 1000:
                if os.fork() == 0:
                    while True:
                        time.sleep(60)
                made += 1
        except OSError as error:
            print(type(error).__name__, made < 40)
    """
    assert (await prison.run("forks", _dedent(code)))["text"] == "BlockingIOError True\n"
    await _until_few(prison, "forks", 4)
    again = "import subprocess; [subprocess.run(['true']).returncode for _ in range(40)].count(0)"
    assert (await prison.run("forks", again))["text"] == "40\n"


async def test_a_thread_bomb_reaches_the_limit_of_its_session(prison):
    code = """
        import threading, time
        try:
            for number in range(1000):
                threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
        except RuntimeError as error:
            print(number < 60)
    """
    assert (await prison.run("threads", _dedent(code)))["text"] == "True\n"


ENDLESS = {
    "sleeping": "import time\ntime.sleep(1000)",
    "deaf": """
        import signal, time
        for number in range(1, 32):
            if number not in (9, 19):
                signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                continue
    """,
    "stopped": "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(1000)",
    "exiting never": "import atexit, time\natexit.register(time.sleep, 1000)\ntime.sleep(1000)",
}


LATE = ENDED + "a call took longer than 4 s."
BURNT = ENDED + "a call used more than 2 s of the processor."
BURNING = """
    import os
    for number in range(3):
        os.fork()
    while True:
        continue
"""


async def test_a_call_that_never_ends_is_ended_by_the_clock(prison):
    codes = dict(ENDLESS)
    if prison.told["jail"] == "landlock":
        del codes["stopped"]  # there a process can't signal itself either
    calls = [prison.run(name, _dedent(code)) for name, code in codes.items()]
    *ended, burnt = await asyncio.gather(*calls, prison.run("burning", _dedent(BURNING, 4)))
    assert [result["error"] for result in ended] == [LATE] * len(codes)
    assert burnt["error"] in {BURNT, LATE}  # late where the machine has other work


FLOODS = {
    "print": "while True: print('x' * 1000)",
    "write": "import os\nwhile True: os.write(1, b'x' * 65536)",
    "another program": "import subprocess\nsubprocess.run(['yes', 'x' * 1000])",
    "not a text": "import os\nwhile True: os.write(2, os.urandom(65536))",
}


async def test_a_flood_of_output_is_cut_and_ended(prison):
    calls = (prison.run(f"flood of {name}", code) for name, code in FLOODS.items())
    for result in await asyncio.gather(*calls):
        assert result["error"] in {ENDED + "it printed without end.", LATE, BURNT}
        assert len(result["text"]) < 70_000
        assert result["text"].endswith("[The rest of the output is left out.]\n")


async def test_long_output_is_cut_and_the_session_lives_on(prison):
    result = await prison.run("long", "kept = 1\nprint('y' * 200_000)")
    assert result["error"] is None
    assert result["text"].endswith("y\n[The rest of the output is left out.]\n")
    assert (await prison.run("long", "kept"))["text"] == "1\n"


async def test_files_without_number_end_the_session(prison):
    code = """
        import time
        for number in range(100_000):
            open(f"/mnt/data/{number}", "w").close()
        time.sleep(60)
    """
    result = await prison.run("many", _dedent(code))
    assert result["error"] == ENDED + "it made more than 600 files."


async def test_a_full_disk_is_an_error_of_the_code_or_the_end_of_the_session(prison):
    code = """
        for number in range(128):
            with open(f"/mnt/data/{number}.bin", "wb") as file:
                file.write(b"x" * (1 << 20))
    """
    result = await prison.run("disk", _dedent(code))
    assert result["error"] in {
        "OSError: [Errno 28] No space left on device",
        ENDED + "its files took more than 4 MB.",
    }


async def test_what_a_call_started_ends_with_it(prison):
    code = """
        import os, subprocess, sys
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "1000"])
            os._exit(0)
    """
    await prison.run("daemon", "1")
    before = len((await prison.ask("processes", key="daemon"))["pids"])
    assert (await prison.run("daemon", _dedent(code)))["error"] is None
    await _until_few(prison, "daemon", before)


async def test_a_session_that_is_ended_leaves_no_process(prison):
    await prison.run("gone", "import subprocess; subprocess.Popen(['true']).wait()")
    pids = (await prison.ask("processes", key="gone"))["pids"]
    assert len(pids) >= 2
    await prison.ask("end", key="gone")
    assert (await prison.ask("alive", pids=pids))["pids"] == []


async def test_the_server_is_none_the_worse(prison):
    health = await prison.ask("health")
    assert health["rss"] < 200 << 20
    assert health["fds"] < 120
    assert sorted(health["leftovers"]) == ["open.sock", "state"]


async def _until_few(prison, key, most):
    """Wait until a session has no more processes than that; to be killed takes a moment."""
    async with asyncio.timeout(10):
        while len((await prison.ask("processes", key=key))["pids"]) > most:
            await asyncio.sleep(0.05)


def _dedent(code, by=8):
    lines = code.splitlines()
    return "\n".join(line.removeprefix(" " * by) for line in lines)
