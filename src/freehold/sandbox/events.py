"""What a call yields, and how a sandbox says no."""

from dataclasses import dataclass


class SandboxError(Exception):
    """The sandbox can't do what was asked; the message says why, for the client's eyes."""


class SandboxUnavailableError(SandboxError):
    """No jail works on this machine, or one could not be started."""


class SandboxBusyError(SandboxError):
    """All sessions that may run at once are running."""


class SandboxFileError(SandboxError):
    """A file can't be put into the session or read from it."""


@dataclass(frozen=True, slots=True)
class Logs:
    """Text that was printed, the last value or a traceback; as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure or image that was shown, as PNG."""

    png: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """A new or changed file: its name below /mnt/data, and bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a call.

    ``error`` is the exception's last line, or the limit that ended the session.
    """

    error: str | None
    files: tuple[Output, ...] = ()


Event = Logs | Picture | Ended
