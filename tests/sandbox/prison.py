"""A process with sandboxes and secrets, driven over its standard input: what the attacks aim at.

Run: ``python prison.py JAIL SETTINGS``. One JSON object a line comes in, ``{"id", "do", ...}``;
answers go out as ``{"id", ...}``. It may run as another user than the tests.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

import uvloop

from freehold.core.settings import InterpreterSettings
from freehold.sandbox.events import Ended, Logs, SandboxError
from freehold.sandbox.pool import Sandboxes

MARK = "prison.py"


class Prison:
    def __init__(self, sandboxes, folder):
        self.sandboxes = sandboxes
        self.folder = Path(folder)
        self.plugs = []

    def facts(self):
        """Set out what nobody in a jail may reach."""
        secret = self.folder / "state" / "secret.txt"
        secret.parent.mkdir(mode=0o755)
        secret.write_text("the secret")
        tcp = self._listen(socket.AF_INET, ("127.0.0.1", 0))
        self._listen(socket.AF_UNIX, abstract := f"\0prison-{os.getpid()}")
        self._listen(socket.AF_UNIX, path := str(self.folder / "open.sock"))
        Path(path).chmod(0o777)
        return {
            "port": tcp.getsockname()[1], "abstract": abstract, "socket": path,
            "secret": str(secret), "state": str(secret.parent), "pid": os.getpid(), "mark": MARK,
            "word": os.environ["PRISON_SECRET"],
        }  # fmt: skip

    def _listen(self, family, address):
        plug = socket.socket(family)
        self.plugs.append(plug)
        plug.bind(address)
        plug.listen()
        return plug

    async def run(self, key, code):
        session = await self.sandboxes.session(key)
        text, pictures, end = "", 0, None
        async with contextlib.aclosing(session.run(code)) as events:
            async for event in events:
                if isinstance(event, Logs):
                    text += event.text
                elif isinstance(event, Ended):
                    end = event
                else:
                    pictures += 1
        files = {output.name: output.size for output in end.files}
        return {"text": text, "error": end.error, "files": files, "pictures": pictures,
                "starts": session.starts}  # fmt: skip

    async def put(self, key, name, data):
        session = await self.sandboxes.session(key)
        await session.put(name, base64.b64decode(data))
        return {}

    async def open(self, key, name):
        with (await self.sandboxes.session(key)).open(name) as file:
            return {"size": len(await asyncio.to_thread(file.read))}

    async def interrupt(self, key):
        (await self.sandboxes.session(key)).interrupt()
        return {}

    async def end(self, key):
        await self.sandboxes.end(key)
        return {}

    async def processes(self, key):
        """Return the processes of a session that have not ended."""
        session = await self.sandboxes.session(key)
        return await self.alive(session.life.jailed.family())

    async def alive(self, pids):
        return {"pids": [pid for pid in pids if _lives(pid)]}

    async def health(self):
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"threads": threading.active_count(), "rss": rss,
                "fds": len(os.listdir("/proc/self/fd")),
                "leftovers": os.listdir(self.folder)}  # fmt: skip


def _lives(pid):
    with contextlib.suppress(FileNotFoundError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


async def main(jail, settings, folder):
    limits = InterpreterSettings(jail=jail, **json.loads(settings))
    prison = Prison(sandboxes := Sandboxes(limits), folder)
    sandboxes.open()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        name = (await sandboxes.jail()).name
    except SandboxError as error:
        answer({"refused": str(error)})
        return
    answer({"jail": name, "uid": os.getuid()} | prison.facts())
    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            asked = json.loads(line)
            tasks.create_task(serve(prison, **asked))
    await sandboxes.close()


async def serve(prison, id, do, **more):  # noqa: A002 - the wire's word
    try:
        found = await getattr(prison, do)(**more)
    except SandboxError as error:
        found = {"refused": str(error)}
    answer({"id": id} | found)


def answer(message):
    print(json.dumps(message), flush=True)  # noqa: T201 - the wire


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="prison-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - what is shut out must not be so by its mode
        uvloop.run(main(sys.argv[1], sys.argv[2], folder))  # as the server does
