"""Starts ``prison.py`` as root or as an ordinary user, and talks to it."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ORDINARY = 4321
LIMITS = {
    "memory_mb": 128, "disk_mb": 4, "processes": 24, "files": 600, "wall_s": 4.0, "cpu_s": 2.0,
    "output_kb": 64, "sessions": 8,
}  # fmt: skip


class Guard:
    """The tests' side of a prison. ``told`` are the facts that it gave."""

    def __init__(self, process, told):
        self.told = told
        self._process = process
        self._numbers = itertools.count()
        self._waiting = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, jail, user, **limits):
        """Return a guard; None comes with the reason where this jail can't be here."""
        command = [*_as(user, jail), sys.executable, str(HERE / "prison.py"), jail]
        process = await asyncio.create_subprocess_exec(
            *command,
            json.dumps(LIMITS | limits),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
            env={"PATH": os.environ["PATH"], "PRISON_SECRET": "sk-the-key-of-the-house"},
        )
        told = json.loads(await process.stdout.readline())
        return cls(process, told)

    async def ask(self, do, **more):
        """Return the answer to one request."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "do": do, **more}).encode() + b"\n")
        return await self._waiting[number]

    async def run(self, key, code):
        return await self.ask("run", key=key, code=code)

    async def put(self, key, name, data):
        return await self.ask("put", key=key, name=name, data=base64.b64encode(data).decode())

    async def close(self):
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _read(self):
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            if not (waiting := self._waiting.pop(answer.pop("id"))).done():
                waiting.set_result(answer)
        for waiting in self._waiting.values():
            waiting.set_exception(ConnectionError("The prison has broken down."))


def impossible(user):
    """Return why tests can't be this user here, or None."""
    me = os.getuid()
    if user == "root" and me != 0:
        return "only root can be root"
    if user == "ordinary" and me == 0 and not _reachable() and not _can_open():
        return "root's Python is in a closed folder, and there is no bwrap to open a way to it"
    return None


def _as(user, jail):
    """Return what to put before a command so that it runs as this user.

    Landlock needs a Python that the sessions' own users may read.
    """
    if os.getuid() != 0:
        return []
    if user == "root":
        return _opened() if jail == "landlock" and not _reachable() and _can_open() else []
    become = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    become += ["--bounding-set=-all"]
    return become if _reachable() else [*_opened(), *become]


def _needed():
    return [Path(path).resolve() for path in (sys.prefix, sys.base_prefix, ROOT)]


def _closed():
    """Return the folders that others may not pass on the way to what we need."""
    above = {parent for path in _needed() for parent in (path, *path.parents)}
    return [path for path in sorted(above) if not path.stat().st_mode & 0o001]


def _reachable():
    return not _closed()


def _can_open():
    return shutil.which("bwrap") is not None


def _opened():
    """Show what is needed of closed folders, in a file system of the command's own."""
    arguments = ["bwrap", "--dev-bind", "/", "/"]
    for folder in _closed():
        below = [path for path in _needed() if path.is_relative_to(folder)]
        arguments += ["--perms", "0755", "--tmpfs", str(folder)]
        for path in below:
            for parent in reversed(path.relative_to(folder).parents[:-1]):
                arguments += ["--perms", "0755", "--dir", str(folder / parent)]
            arguments += ["--ro-bind", str(path), str(path)]
    return [*arguments, "--"]
