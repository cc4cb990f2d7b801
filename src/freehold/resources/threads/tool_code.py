"""The code interpreter of a run: its session, the files it is given, and what comes out of it."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final
from weakref import WeakKeyDictionary

from freehold.api.context import Services
from freehold.core.errors import NotFoundError
from freehold.data import limits
from freehold.resources.files import library
from freehold.resources.files.library import Owner
from freehold.resources.threads import tool_paths
from freehold.sandbox.events import Ended, Logs, Output, Picture, SandboxError, SandboxFileError
from freehold.sandbox.session import Session

_BLOCK: Final = 1 << 20
_FENCED: Final = re.compile(r"```(?:python|py)\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
# The files that each living session was given; a session that begins anew is given them again.
_given: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()


@dataclass(slots=True)
class Ran:
    """What came of running code. ``files`` are ids by names below /mnt/data."""

    outputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    files: dict[str, str] = field(default_factory=dict[str, str])
    error: str | None = None

    def told(self) -> str:
        """Return what the model is told of it."""
        most = limits.figure("runs", "told_characters")
        logs = "".join(one.get("logs", "[a picture]\n") for one in self.outputs)
        parts = [logs if len(logs) <= most else f"{logs[:most]}\n[The rest is left out.]"]
        if self.error and self.error not in logs:
            parts.append(self.error)
        parts += [f"Made the file {tool_paths.PREFIX}{name}" for name in self.files]
        return "\n".join(part for part in parts if part) or "[no output]"


def written(text: str) -> str | None:
    """Return the first block of Python in a text, None where there is none."""
    found = _FENCED.search(text)
    return found[1].strip() if found and found[1].strip() else None


class Interpreter:
    """Runs a run's code. ``send`` tells listeners of outputs, each with its index."""

    def __init__(
        self, services: Services, run: Mapping[str, Any], thread: Mapping[str, Any]
    ) -> None:
        self._services = services
        self._run = run
        self._thread = thread
        self._owner = Owner(run["organization_id"], run["project_id"])

    async def call(self, code: str, send: Callable[[dict[str, Any]], None]) -> Ran:
        """Run code and return what came of it; that there is no sandbox is an output too."""
        ran = Ran()
        try:
            session = await self._services.sandboxes.session(self._run["thread_id"])
            await self._give_files(session)
            async with aclosing(session.run(code)) as events:
                async for event in events:
                    match event:
                        case Logs():
                            _log(ran, event.text, send)
                        case Picture():
                            await self._picture(ran, event, send)
                        case Ended():
                            ran.error = event.error
                            await self._keep(session, ran, event.files)
        except SandboxError as error:
            ran.error = f"The code interpreter is not available: {error}"
        if ran.error and ran.error not in "".join(one.get("logs", "") for one in ran.outputs):
            _log(ran, ran.error, send)
        return ran

    async def _give_files(self, session: Session) -> None:
        """Put the assistant's and the thread's files where code can read them."""
        alive = session.life is not None and session.life.over is None
        given = _given.setdefault(session, set())
        if not alive:
            given.clear()
        for file_id in self._file_ids():
            if file_id in given:
                continue
            try:
                file = await library.find(self._services, self._run["project_id"], file_id)
                async with aclosing(library.read(self._services, file)) as chunks:
                    await session.put(PurePosixPath(file.filename).name, chunks)
            except NotFoundError:  # deleted since: the code will not find it either
                continue
            given.add(file_id)

    def _file_ids(self) -> list[str]:
        both = (self._run["tool_resources"], self._thread["tool_resources"])
        ids = [i for kept in both for i in kept.get("code_interpreter", {}).get("file_ids", ())]
        return list(dict.fromkeys(ids))

    async def _picture(
        self, ran: Ran, picture: Picture, send: Callable[[dict[str, Any]], None]
    ) -> None:
        name = f"{len(ran.outputs)}.png"
        file = await library.create_output(
            self._services, self._owner, name, "assistants_output", _once(picture.png)
        )
        output = {"type": "image", "image": {"file_id": file.id}}
        send({"index": len(ran.outputs), **output})
        ran.outputs.append(output)

    async def _keep(self, session: Session, ran: Ran, made: tuple[Output, ...]) -> None:
        """Make files of what the code left in /mnt/data."""
        for output in made:
            name = PurePosixPath(output.name).name
            try:
                chunks = _contents(session, output.name)
                file = await library.create_output(
                    self._services, self._owner, name, "assistants_output", chunks
                )
            except SandboxFileError as error:
                ran.error = ran.error or str(error)
                continue
            ran.files[output.name] = file.id


def _log(ran: Ran, text: str, send: Callable[[dict[str, Any]], None]) -> None:
    """Append text to the last output where that is text too."""
    if not ran.outputs or ran.outputs[-1]["type"] != "logs":
        ran.outputs.append({"type": "logs", "logs": ""})
    ran.outputs[-1]["logs"] += text
    send({"index": len(ran.outputs) - 1, "type": "logs", "logs": text})


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def _contents(session: Session, name: str) -> AsyncGenerator[bytes, None]:
    with session.open(name) as source:
        while block := source.read(_BLOCK):
            yield block
