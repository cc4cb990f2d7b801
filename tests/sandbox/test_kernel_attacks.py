"""Code that turns on its own kernel harms its own session only."""

import pytest

pytestmark = pytest.mark.usefixtures("bystander")

GONE = "The session was ended: "

SUICIDES = {
    "leaving": "import os; os._exit(0)",
    "killing itself": "import os\ntry: os.kill(os.getpid(), 9)\nexcept OSError: os._exit(1)",
    "aborting": "import os; os.abort()",
    "a fault": "import ctypes; ctypes.string_at(0)",
    "closing everything": "import os; os.closerange(0, 256)",
    "closing the channel": "import os; os.closerange(3, 256)",
    "an endless stack": "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "another program": "import os; os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize("name", SUICIDES)
async def test_a_kernel_that_ends_is_reported_and_replaced(prison, name):
    result = await prison.run("dying", SUICIDES[name])
    assert result["error"] is None or result["error"].startswith(GONE), result
    after = await prison.run("dying", "1 + 1")
    assert after["text"].endswith("2\n")
    assert after["error"] is None


FORGED = {
    "an end": "send(b'E', b'{\"error\": null}')",
    "two ends": "send(b'E', b'{\"error\": null}'); send(b'E', b'{\"error\": null}')",
    "an end that is none": "send(b'E', b'[1, 2')",
    "an unknown kind": "send(b'?', b'')",
    "a frame without end": "os.write(plug, struct.pack('>IB', 0xFFFFFFFF, 80) + bytes(1 << 20))",
    "garbage": "os.write(plug, os.urandom(1 << 20))",
    "pictures without end": "while True: send(b'P', bytes(1 << 22))",
    "pictures without number": "while True: send(b'P', b'')",
    "descriptors": "socket.send_fds(socket.socket(fileno=os.dup(plug)), [b'x'], [0, 1, 2] * 80)",
}
SEND = """
import os, socket, stat, struct
def is_socket(number):
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
plug = next(number for number in range(3, 1024) if is_socket(number))
def send(kind, data):
    os.write(plug, struct.pack('>IB', len(data), kind[0]) + data)
"""


@pytest.mark.parametrize("name", FORGED)
async def test_forged_messages_reach_nobody_else(prison, name):
    before = (await prison.ask("health"))["fds"]
    result = await prison.run("forger", f"{SEND}\n{FORGED[name]}")
    assert result["error"] is None or result["error"].startswith(GONE), result
    after = await prison.run("forger", "1 + 1")  # it may still hear of the forged end
    assert after["error"] is None or after["error"].startswith(GONE)
    await prison.ask("end", key="forger")
    assert (await prison.run("forger", "2 + 2"))["text"] == "4\n"
    assert (await prison.ask("health"))["fds"] <= before + 8


async def test_the_kernel_s_own_modules_can_be_broken_for_its_session_only(prison):
    code = """
import sys, inside.kernel, json, builtins
inside.kernel.Kernel._call = lambda *_: 1 / 0
inside.kernel.Kernel._send = None
json.dumps = None
sys.modules.clear()
builtins.print = None
"""
    result = await prison.run("vandal", code)
    assert result["error"] is None or result["error"].startswith(GONE)
    await prison.run("vandal", "1")  # here at the latest the kernel ends
    after = await prison.run("vandal", "print('whole')")
    assert after["text"].endswith("whole\n")


async def test_closed_streams_are_opened_again(prison):
    await prison.run("closer", "import sys; sys.stdout.close(); sys.stderr.close()")
    assert (await prison.run("closer", "print('heard')"))["text"] == "heard\n"


async def test_a_forgotten_child_does_not_answer_for_its_parent(prison):
    code = """
import os
if (child := os.fork()):
    os.waitpid(child, 0)
print('parent' if child else 'child')
"""
    result = await prison.run("forgetful", code)
    assert sorted(result["text"].split()) == ["child", "parent"]
    assert (await prison.run("forgetful", "'next'"))["text"] == "'next'\n"
