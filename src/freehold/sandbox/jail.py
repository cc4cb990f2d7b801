"""What shuts a session in: bubblewrap where it works, else Landlock; both start the same kernel."""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from freehold.core.settings import InterpreterSettings

_INSIDE: Final = Path(__file__).parent / "inside"
_START: Final = (
    "import sys; sys.path.append(sys.argv[2]); from inside.start import main; main(sys.argv[1])"
)
_THREADS: Final = str(min(4, os.cpu_count() or 1))
_OPEN_FILES: Final = 256
_NICE: Final = 2
SCRATCH_MB: Final = 64
_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_CONFIGURATION: Final = ("/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/alternatives")


@dataclass(frozen=True, slots=True)
class Place:
    """What one session is given.

    ``uid`` is its own user, ``home`` a folder on the disk for a jail that needs one; ``channel``,
    ``lifeline`` and ``filter_`` are descriptors that it inherits: it ends when the lifeline does.
    """

    uid: int | None
    home: Path | None
    channel: int
    lifeline: int
    filter_: int


class Jail(Protocol):
    """A way to start a kernel that can do no harm."""

    name: str
    # Whether the code runs beside the server's processes, with nothing but rules between them.
    kin: bool

    def command(self, place: Place, settings: InterpreterSettings) -> list[str]:
        """Return the command line that starts a kernel."""
        ...


def environment(folder: Path | None) -> dict[str, str]:
    """Return all that a jailed process finds in its environment.

    ``folder`` is the session's own, where it is not alone in its file system.
    """
    home = str(folder / "tmp") if folder else "/tmp"  # noqa: S108 - the jail's own
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "MPLBACKEND": "module://inside.figures",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
        "OPENBLAS_NUM_THREADS": _THREADS,
        "OMP_NUM_THREADS": _THREADS,
    }


def python(told: dict[str, Any], inside: str) -> list[str]:
    """Return the command line of the kernel; ``inside`` is where its modules' folder lies."""
    return [sys.executable, "-I", "-B", "-u", "-c", _START, json.dumps(told), inside]


def told(place: Place, settings: InterpreterSettings, data: str, scratch: Sequence[str]) -> Any:
    """Return what the kernel must know before it closes the door behind itself."""
    return {
        "uid": place.uid,
        "channel": place.channel,
        "lifeline": place.lifeline,
        "data": data,
        "folders": [data, *scratch],
        "walls": None,
        "limits": {
            "memory_mb": settings.memory_mb,
            "disk_mb": settings.disk_mb,
            "processes": settings.processes,
            "files": _OPEN_FILES,
            "nice": _NICE,
        },
    }


def system_paths() -> list[str]:
    """Return what Python and its packages need of this machine, to be read only."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    links = {str(Path(sys.executable).resolve().parent.parent), sysconfig.get_path("purelib")}
    wanted = {"/usr", *prefixes, *links, *map(os.path.realpath, prefixes)}
    return [path for path in sorted(wanted) if not _within(path, wanted - {path})]


def _within(path: str, others: set[str]) -> bool:
    return any(Path(path).is_relative_to(other) for other in others)


class Bubblewrap:
    """Namespaces of its own for files, processes, network, messages and names."""

    name = "bubblewrap"
    kin = False

    def __init__(self, server_files: Sequence[Path]) -> None:
        self._server_files = server_files

    def command(self, place: Place, settings: InterpreterSettings) -> list[str]:
        """Return the command line. Raises ``FileNotFoundError`` without the program."""
        if (program := shutil.which("bwrap")) is None:
            raise FileNotFoundError("bwrap is not installed (Debian: apt install bubblewrap)")
        kernel = told(place, settings, "/mnt/data", ["/tmp", "/dev/shm"])  # noqa: S108 - the jail's own
        return [
            program,
            *_spaces(place),
            *_files(settings),
            *_covers(self._server_files),
            "--remount-ro",
            "/",
            *("--chdir", "/mnt/data", "--seccomp", str(place.filter_), "--"),
            *python(kernel, "/opt"),
        ]


def _spaces(place: Place) -> list[str]:
    shared = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    shared += ["--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent"]
    shared += ["--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if place.uid is None:
        return [*shared, "--unshare-user", "--uid", "1000", "--gid", "1000"]
    # The kernel still has to become its own user, which takes these two away again.
    return [*shared, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _files(settings: InterpreterSettings) -> list[str]:
    folders = [*system_paths(), *_CONFIGURATION, "/mnt/data", "/opt/inside"]
    arguments = [*_room("/tmp", SCRATCH_MB), *_parents(folders)]  # noqa: S108 - the jail's own
    for path in system_paths():
        arguments += ["--ro-bind", path, path]
    for link in _LINKS:
        arguments += _same(Path(link))
    for path in _CONFIGURATION:
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    arguments += ["--size", "65536", "--tmpfs", "/dev"]
    for device in ("null", "zero", "full", "random", "urandom"):
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    arguments += [*_room("/dev/shm", SCRATCH_MB), "--remount-ro", "/dev"]  # noqa: S108 - the jail's
    arguments += _room("/mnt/data", settings.disk_mb)
    return [*arguments, "--ro-bind", str(_INSIDE), "/opt/inside"]


def _covers(server_files: Sequence[Path]) -> list[str]:
    """Lay something empty over the server's files, where they would be seen."""
    arguments: list[str] = []
    for path in _exposed(server_files):
        empty = ["--size", "4096", "--tmpfs"] if path.is_dir() else ["--ro-bind", "/dev/null"]
        arguments += [*empty, str(path)]
    return arguments


def _exposed(server_files: Sequence[Path]) -> list[Path]:
    shown = {*system_paths(), *_CONFIGURATION}
    real = (path.resolve() for path in server_files if path.exists())
    return [path for path in real if _within(str(path), shown)]


def _parents(paths: Sequence[str]) -> list[str]:
    """Make the folders above, which all may pass; bubblewrap's own would be root's alone."""
    above = {str(parent) for path in paths for parent in Path(path).parents} - {"/", "/tmp"}  # noqa: S108
    return [word for path in sorted(above) for word in ("--perms", "0755", "--dir", path)]


def _same(path: Path) -> list[str]:
    """Repeat a link of the root folder, or show the folder."""
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _room(path: str, size_mb: int) -> list[str]:
    return ["--perms", "1777", "--size", str(size_mb << 20), "--tmpfs", path]


class Landlock:
    """Rules for files and a filter of system calls, for where nobody may make namespaces."""

    name = "landlock"
    kin = True

    def __init__(self, server_files: Sequence[Path]) -> None:
        self._server_files = server_files

    def command(self, place: Place, settings: InterpreterSettings) -> list[str]:
        """Return the command line. Raises ``PermissionError`` where a secret would be seen."""
        if place.home is None:
            raise ValueError("This jail needs a folder.")
        if exposed := _exposed(self._server_files):
            raise PermissionError(f"{exposed[0]} lies where the code must read: move it elsewhere")
        data, scratch = str(place.home / "data"), str(place.home / "tmp")
        kernel = told(place, settings, data, [scratch])
        read = [*system_paths(), *_LINKS, *_CONFIGURATION, str(_INSIDE)]
        kernel["walls"] = {
            "read": read,
            "write": [data, scratch],
            "devices": ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"],
            "filter": place.filter_,
        }
        return python(kernel, str(_INSIDE.parent))
