"""The file format GGUF: what a file says of itself, and where its tensors lie."""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

View: TypeAlias = bytes | mmap.mmap

MAGIC: Final = b"GGUF"
HEAD: Final = struct.Struct("<4sIQQ")  # magic, version, tensors, facts
_ALIGNMENT: Final = 32
_SCALARS: Final[dict[int, str]] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9


class DamagedFileError(ValueError):
    """The file is no GGUF file, or its head is damaged; the message says which."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's entry: ``shape`` has its rows last, ``offset`` counts from the tensors' start."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Head:
    """A file's head.

    ``places`` tells where a fact's value begins, ``facts_end`` where all end, ``data`` where the
    tensors begin; each lies at a multiple of ``alignment`` from there.
    """

    facts: Mapping[str, Any]
    places: Mapping[str, int]
    facts_end: int
    tensors: tuple[Tensor, ...]
    data: int
    alignment: int


def read_facts(view: View) -> dict[str, Any]:
    """Return a file's facts by name, text in arrays as bytes. Raises ``DamagedFileError``."""
    return _Reader(view).facts()


def read_head(view: View) -> Head:
    """Return a file's facts and the entries of its tensors. Raises ``DamagedFileError``."""
    reader = _Reader(view)
    facts = reader.facts()
    facts_end = reader.at
    tensors = reader.tensors()
    alignment = int(facts.get("general.alignment", _ALIGNMENT))
    data = reader.at + -reader.at % alignment
    return Head(facts, reader.places, facts_end, tensors, data, alignment)


def entry(tensor: Tensor) -> bytes:
    """Return a tensor's entry as the file has it."""
    name = tensor.name.encode()
    shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return (
        struct.pack("<Q", len(name)) + name + shape + struct.pack("<IQ", tensor.kind, tensor.offset)
    )


class _Reader:
    """Walks over the head of a file."""

    def __init__(self, view: View) -> None:
        self.at = HEAD.size
        self.places: dict[str, int] = {}
        self._view = view
        self._tensors = 0

    def facts(self) -> dict[str, Any]:
        if self._view[:4] != MAGIC:
            raise DamagedFileError("it is no GGUF file")
        try:
            _, version, self._tensors, facts = HEAD.unpack_from(self._view)
            if version not in (2, 3):
                raise DamagedFileError(f"GGUF version {version} is not known")
            return dict(self._fact() for _ in range(facts))
        except (struct.error, UnicodeDecodeError, KeyError, IndexError) as error:
            raise DamagedFileError("its head is damaged or cut off") from error

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the entries that follow the facts."""
        try:
            return tuple(self._tensor() for _ in range(self._tensors))
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise DamagedFileError("its head is damaged or cut off") from error

    def _tensor(self) -> Tensor:
        name = self._string().decode()
        shape = tuple(self._scalar("Q") for _ in range(self._scalar("I")))
        return Tensor(name, shape, self._scalar("I"), self._scalar("Q"))

    def _fact(self) -> tuple[str, Any]:
        name = self._string().decode()
        self.places[name] = self.at + struct.calcsize("<I")
        return name, self._value()

    def _value(self) -> Any:
        kind = self._scalar("I")
        if kind == _ARRAY:
            return self._array()
        return self._string().decode() if kind == _STRING else self._scalar(_SCALARS[kind])

    def _array(self) -> list[Any]:
        kind, length = self._scalar("I"), self._scalar("Q")
        if kind == _STRING:
            return [self._string() for _ in range(length)]
        if kind == _ARRAY:
            return [self._array() for _ in range(length)]
        values = struct.unpack_from(f"<{length}{_SCALARS[kind]}", self._view, self.at)
        self.at += struct.calcsize(f"<{length}{_SCALARS[kind]}")
        return list(values)

    def _string(self) -> bytes:
        length = self._scalar("Q")
        start = self.at
        self.at += length
        if self.at > len(self._view):
            raise IndexError
        return self._view[start : self.at]

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._view, self.at)
        self.at += struct.calcsize(f"<{code}")
        return value
