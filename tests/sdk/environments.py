"""Environments of the clients: one virtual environment for each lock file, one npm folder.

They lie in ``.cache/clients``, named after what they were made from, and are made only once.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "clients"
LOCKS = HERE / "environments"
NODE = HERE / "node"


class NoEnvironmentError(Exception):
    """A client could not be installed, and why."""


def python(name: str) -> Path:
    """Return the interpreter of the environment that ``environments/<name>.txt`` pins."""
    lock = LOCKS / f"{name}.txt"
    return _made(name, [lock], lambda folder: _install(folder, lock)) / "bin" / "python"


def node() -> Path:
    """Return a folder that holds ``node_modules`` with the npm clients."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise NoEnvironmentError("node and npm are not installed")
    files = [NODE / name for name in ("package.json", "package-lock.json", ".npmrc")]
    return _made("node", files, lambda folder: _install_node(folder, files))


def _install(folder: Path, lock: Path) -> None:
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    _run(
        *(sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")),
        *("--disable-pip-version-check", "--no-input", "install", "--quiet"),
        *("--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)),
    )


def _install_node(folder: Path, files: list[Path]) -> None:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    _run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoEnvironmentError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _made(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """Return the folder made from ``sources``; a half-made one is made anew."""
    content = b"".join(source.read_bytes() for source in sources)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(content + version.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    complete = folder / "complete"
    with _alone(CACHE / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            complete.touch()
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other test runs of this checkout from making the same environment."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    (lock.parent.parent / ".gitignore").write_text("*\n")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
