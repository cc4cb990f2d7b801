"""All sessions of a server: made on demand, one kept warm, watched, ended when nobody uses them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from freehold.core.runtime import RuntimeFolder
from freehold.core.settings import InterpreterSettings
from freehold.sandbox.events import SandboxBusyError, SandboxUnavailableError
from freehold.sandbox.jail import Bubblewrap, Jail, Landlock
from freehold.sandbox.launch import launch
from freehold.sandbox.life import Life
from freehold.sandbox.process import Jailed
from freehold.sandbox.session import Session
from freehold.sandbox.uids import Uids

_log = logging.getLogger(__name__)
_JAILS: Final[dict[str, type[Bubblewrap] | type[Landlock]]] = {
    "bubblewrap": Bubblewrap,
    "landlock": Landlock,
}
_BUSY_S: Final = 0.05
_CALM_S: Final = 0.5


class Sandboxes:
    """Gives out sessions by key. ``open`` before the first, ``close`` at the end."""

    def __init__(self, settings: InterpreterSettings, server_files: Sequence[Path] = ()) -> None:
        """``server_files`` are files and folders that no code may see wherever they lie."""
        self._settings = settings
        self._server_files = server_files
        self._uids = Uids()
        self._jail: Jail | None = None
        self._choosing = asyncio.Lock()
        self._folder: RuntimeFolder | None = None
        self._sessions: dict[str, Session] = {}
        self._lives: set[Life] = set()
        self._warm: asyncio.Task[Life] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._open = False

    def open(self) -> None:
        """Keep a kernel warm from now on; once is enough."""
        if not self._open:
            self._open = True
            self._warm_up()

    async def close(self) -> None:
        """End all sessions."""
        for task in (self._watching, self._warm):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, SandboxUnavailableError):
                    await task
        self._watching = self._warm = None
        self._open = False
        await asyncio.gather(*(life.close() for life in list(self._lives)))
        self._lives.clear()
        self._sessions.clear()
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    async def session(self, key: str) -> Session:
        """Return the session of a key, a new one where there is none.

        Raises ``SandboxBusyError`` while as many as may be are in use.
        """
        if (session := self._sessions.get(key)) is None:
            if len(self._sessions) >= self._settings.sessions:
                await self._make_room()
            session = Session(self._begin, self._settings.disk_mb << 20)
            self._sessions[key] = session
        return session

    async def end(self, key: str) -> None:
        """End the session of a key, if there is one."""
        if (session := self._sessions.pop(key, None)) is not None:
            await session.close()

    async def jail(self) -> Jail:
        """Return the jail that works here. Raises ``SandboxUnavailableError`` with all reasons."""
        async with self._choosing:
            if self._jail is None:
                self._jail, jailed = await self._choose()
                await jailed.close()
        return self._jail

    async def _make_room(self) -> None:
        idle = [key for key, session in self._sessions.items() if not session.running]
        if not idle:
            raise SandboxBusyError(
                f"All {self._settings.sessions} sessions of the code interpreter are busy. "
                "Please try again later."
            )
        await self.end(min(idle, key=lambda key: self._sessions[key].used_at))

    async def _begin(self) -> Life:
        """Return the warm life, or one that is started now; and warm up the next."""
        warm, self._warm = self._warm, None
        life: Life | None = None
        with suppress(SandboxUnavailableError):
            life = await warm if warm is not None else None
        if life is None or life.over is not None:
            life = await self._start()
        if self._warm is None and self._open:
            self._warm_up()
        return life

    def _warm_up(self) -> None:
        self._warm = asyncio.create_task(self._start())
        self._warm.add_done_callback(_tell)

    async def _start(self) -> Life:
        async with self._choosing:
            jailed = None
            if self._jail is None:
                self._jail, jailed = await self._choose()
        life = await Life.begin(self._settings, jailed or await self._jailed(self._jail))
        self._lives.add(life)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return life

    async def _choose(self) -> tuple[Jail, Jailed]:
        """Return the first jail in which a kernel starts, and that kernel."""
        wanted = self._settings.jail
        reasons: list[str] = []
        for name, jail in _JAILS.items():
            if wanted in {"auto", name}:
                found = jail(self._server_files)
                try:
                    return found, await self._jailed(found)
                except SandboxUnavailableError as error:
                    reasons.append(str(error))
        raise SandboxUnavailableError("No jail works here. " + " ".join(reasons))

    async def _jailed(self, jail: Jail) -> Jailed:
        return await launch(jail, self._settings, self._uids, self._base)

    def _base(self) -> Path:
        """Return the folder for sessions that need one on the disk; others may pass through it."""
        if self._folder is None:
            self._folder = RuntimeFolder.take()
            self._folder.path.chmod(0o711)
        return self._folder.path

    async def _watch(self) -> None:
        """Look at every life, often while one runs; end sessions that nobody uses."""
        while True:
            busy = any(life.running for life in self._lives)
            await asyncio.sleep(_BUSY_S if busy else _CALM_S)
            for life in list(self._lives):
                try:
                    await life.check()
                except Exception:  # noqa: BLE001 - whatever it is, unwatched code must not run
                    _log.exception("A session can't be watched.")
                    life.lost("it could not be watched")
                if life.over is not None:
                    self._lives.discard(life)
            await self._end_unused()

    async def _end_unused(self) -> None:
        since = asyncio.get_running_loop().time() - self._settings.idle_s
        for key, session in list(self._sessions.items()):
            if session.used_at < since and not session.running:
                await self.end(key)


def _tell(warm: asyncio.Task[Life]) -> None:
    """Say in the log why there is no kernel; who asks for a session is told again."""
    if not warm.cancelled() and (error := warm.exception()) is not None:
        _log.warning("The code interpreter can't be used: %s", error)
