"""Runs calls in one namespace that lasts, as a notebook does.

Frames on the channel, both ways: four bytes of length, one byte of kind, the rest. Code comes as
``C``; a picture goes as ``P``, which is answered by an empty frame, the end of a call as ``E`` with
the error in JSON. Text goes out of descriptors 1 and 2, where also other programs write.
"""

import ast
import builtins
import contextlib
import inspect
import io
import json
import linecache
import os
import signal
import socket
import struct
import sys
import traceback
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from . import display
from .paths import Moved

if TYPE_CHECKING:
    import asyncio

_CALLED: Final = "/mnt/data"
_HEAD: Final = struct.Struct(">IB")


class Kernel:
    """One session. ``data`` is where the folder of files really lies."""

    def __init__(self, channel: socket.socket, data: str) -> None:
        channel.set_inheritable(False)
        self._channel = channel
        self._reading = channel.makefile("rb")
        self._moved = None if data == _CALLED else Moved(_CALLED, data)
        self._calls = 0
        self._pid = os.getpid()
        self._running = False
        self._runner: asyncio.Runner | None = None
        self._module = ModuleType("__main__")
        display.send = self._picture
        self._streams = _text(1, line=True), _text(2, line=True)

    def serve(self) -> None:
        """Answer calls until the server hangs up."""
        signal.signal(signal.SIGINT, self._interrupted)
        sys.modules["__main__"] = self._module
        self._module.__dict__.update(
            {"__builtins__": builtins, "display": display.show, "exit": sys.exit}
        )
        sys.path[:] = [path for path in sys.path if path] + [os.getcwd()]  # noqa: PTH109 - no import
        while (code := self._next()) is not None:
            self._send(b"E", json.dumps({"error": self._call(code)}).encode())

    def _next(self) -> str | None:
        head = self._reading.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        return self._reading.read(_HEAD.unpack(head)[0]).decode()

    def _send(self, kind: bytes, data: bytes) -> None:
        self._channel.sendall(_HEAD.pack(len(data), kind[0]))
        self._channel.sendall(data)

    def _picture(self, png: bytes) -> None:
        self._flush()
        self._send(b"P", png)
        self._next()  # once it has been taken, what is printed comes after it

    def _interrupted(self, _signal: int, _frame: FrameType | None) -> None:
        if self._running:
            raise KeyboardInterrupt

    def _call(self, code: str) -> str | None:
        """Run one call; return how it failed, if it did."""
        _bury()
        sys.stdout, sys.stderr = self._streams
        self._calls += 1
        error: str | None = None
        try:
            self._running = True
            try:
                self._execute(code)
                display.figures()
            finally:
                self._running = False
        except BaseException as fault:  # noqa: BLE001 - whatever the code raises is its answer
            error = self._tell(fault)
        self._flush()
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the code made and forgot; the call is its parent's
        return error

    def _execute(self, code: str) -> None:
        name = f"<cell {self._calls}>"
        linecache.cache[name] = len(code), None, code.splitlines(keepends=True), name
        tree = ast.parse(code, name)
        if self._moved:
            tree = self._moved.visit(tree)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        if tree.body:
            self._evaluate(compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if isinstance(last, ast.Expr):
            last = ast.Expression(last.value)
            value = self._evaluate(compile(last, name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
            self._echo(code, value)

    def _evaluate(self, code: CodeType) -> Any:
        value = eval(code, self._module.__dict__)  # noqa: S307 - what the jail is for
        if not code.co_flags & inspect.CO_COROUTINE:
            return value
        import asyncio  # noqa: PLC0415 - half of the time to be ready, and few programs wait

        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(value)

    def _echo(self, code: str, value: Any) -> None:
        """Show the last value as a notebook does: not None, and not after a semicolon."""
        if value is not None and not code.rstrip().endswith(";"):
            self._module.__dict__["_"] = value
            display.show(value)

    def _tell(self, fault: BaseException) -> str:
        """Print the traceback without our own frames; return its last line."""
        try:
            told = traceback.TracebackException.from_exception(fault, compact=True)
            frames = [frame for frame in told.stack if frame.filename != __file__]
            told.stack = traceback.StackSummary.from_list(frames)
            self._streams[1].write("".join(told.format()))
            return "".join(told.format_exception_only()).strip()[-2000:]
        except Exception:  # noqa: BLE001 - the exception's own text fails
            return type(fault).__name__

    def _flush(self) -> None:
        for number, stream in enumerate(self._streams, start=1):
            try:
                stream.flush()
            except (OSError, ValueError):
                opened = list(self._streams)
                opened[number - 1] = _text(number, line=True)
                self._streams = opened[0], opened[1]


def _bury() -> None:
    """Take note of children that were ended with the call before, for they count as processes."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _text(descriptor: int, *, line: bool) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=line
    )
