"""Weights with the adapter that this package brings for them: merged once, into a file of its own.

An adapter that acts while the model runs would cost time with every token, and a user's own
adapter could not stand on it as on any other weights.
"""

import hashlib
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from freehold.engines.base import EngineLoadError
from freehold.engines.sources import Progress

_CHILD: Final = "freehold.engines.adapted_child"
# Goes up when the same weights and adapter give another file.
_RECIPE: Final = "1"
_MARK: Final = 16
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


def packaged(file: str) -> Path | None:
    """Return an adapter of this package, None where it has none of this name."""
    path = Path(str(files("freehold.data").joinpath("adapters", file)))
    return path if path.is_file() else None


def file_name(name: str, weights: str, adapter: str) -> str:
    """Return what the merged file of these two is called, from their SHA-256."""
    digest = hashlib.sha256(f"{_RECIPE} {weights} {adapter}".encode()).hexdigest()
    return f"{name}-{digest[:_MARK]}.gguf"


def pattern(name: str) -> str:
    """Return a glob pattern of all files that were merged for these weights."""
    return f"{name}-{'[0-9a-f]' * _MARK}.gguf"


def make(weights: Path, adapter: Path, target: Path, progress: Progress) -> None:
    """Write the merged weights: all of them or nothing. Raises ``EngineLoadError``, ``OSError``.

    Takes some seconds, in a process of its own. The same two files always give the same bytes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    command = [sys.executable, "-P", "-m", _CHILD, str(weights), str(adapter), str(partial)]
    try:
        _run(command, progress)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _run(command: list[str], progress: Progress) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program and three paths
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        assert process.stderr is not None  # noqa: S101 - as above
        for line in process.stdout:
            done, total = map(int, line.split())
            progress(done, total)
        complaints = process.stderr.read().strip().splitlines()
    if process.returncode != 0:
        reason = complaints[-1] if complaints else f"it ended with status {process.returncode}"
        raise EngineLoadError(f"The model's adapter can't be merged into its weights: {reason}.")


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {"OPENBLAS_NUM_THREADS": "1"}
