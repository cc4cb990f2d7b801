"""What the files in the folder of weights were when their SHA-256 was last computed."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class Entry(BaseModel):
    """One file: unchanged as long as its size and time are these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    mtime_ns: int
    sha256: str


_Entries: Final = TypeAdapter(dict[str, Entry])


class Manifest:
    """The record of a folder. Who writes must hold the folder's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "manifest.json"

    def entries(self) -> Mapping[str, Entry]:
        """Return every entry, by the file's path in the folder or, outside, its full path."""
        return self._read()

    def digest(self, path: Path) -> str | None:
        """Return the SHA-256 on record, whatever has become of the file."""
        entry = self._read().get(self._key(path))
        return None if entry is None else entry.sha256

    def unchanged(self, path: Path) -> str | None:
        """Return the SHA-256 on record, None if the file has changed since."""
        entry, stat = self._read().get(self._key(path)), path.stat()
        if entry is None or (entry.size, entry.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            return None
        return entry.sha256

    def record(self, path: Path, digest: str) -> None:
        """Remember the file as it is."""
        stat = path.stat()
        entry = Entry(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest)
        self._write({**self._read(), self._key(path): entry})

    def forget(self, paths: Collection[Path]) -> None:
        gone = {self._key(path) for path in paths}
        self._write({key: entry for key, entry in self._read().items() if key not in gone})

    def _key(self, path: Path) -> str:
        """Keep the manifest valid when the state folder moves."""
        inside = path.is_relative_to(self._folder)
        return str(path.relative_to(self._folder) if inside else path.absolute())

    def _read(self) -> dict[str, Entry]:
        try:
            return _Entries.validate_json(self._file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return {}  # everything is hashed again

    def _write(self, entries: dict[str, Entry]) -> None:
        temporary = self._file.with_name(f"{self._file.name}.partial")
        temporary.write_bytes(_Entries.dump_json(entries, indent=1))
        temporary.replace(self._file)
