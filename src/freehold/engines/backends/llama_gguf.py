"""Reads the head of a GGUF file: what must be known about a model before it is loaded."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAGIC: Final = b"GGUF"
_SCALARS: Final[dict[int, str]] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9
# Token types that the tokenizer reads only where control tokens are allowed.
_UNKNOWN_TOKEN: Final = 2
_CONTROL_TOKEN: Final = 3
# What models call the tokens for filling in the middle; files may also name them by number.
_INSERTION_NAMES: Final = (
    {b"<|fim_prefix|>", b"<fim-prefix>", b"<fim_prefix>", b"<|code_prefix|>", b"<PRE>"},
    {b"<|fim_suffix|>", b"<fim-suffix>", b"<fim_suffix>", b"<|code_suffix|>", b"<SUF>"},
    {b"<|fim_middle|>", b"<fim-middle>", b"<fim_middle>", b"<|code_middle|>", b"<MID>"},
)
_BLANK: Final = "\u2581".encode()  # stands before some of these names


class DamagedFileError(ValueError):
    """The file is no GGUF file, or its head is damaged; the message says which."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What the head of a model's file says."""

    trained_context: int
    template: str | None
    control_tokens: tuple[str, ...]
    bos_token: str
    eos_token: str
    start_token: int | None
    vocabulary: int
    insertion: tuple[int, int, int] | None


def read_head(path: Path) -> ModelFile:
    """Return the facts in the file's head. Raises ``OSError`` or ``DamagedFileError``."""
    with path.open("rb") as file:
        try:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise DamagedFileError("the file is empty") from error
        with view:
            try:
                return _describe(_Reader(view).metadata())
            except (struct.error, UnicodeDecodeError, KeyError, IndexError) as error:
                raise DamagedFileError("its head is damaged or cut off") from error


def _describe(facts: dict[str, Any]) -> ModelFile:
    tokens: list[bytes] = facts.get("tokenizer.ggml.tokens", [])
    types: list[int] = facts.get("tokenizer.ggml.token_type", [])
    special = (_UNKNOWN_TOKEN, _CONTROL_TOKEN)
    bos, eos = (facts.get(f"tokenizer.ggml.{end}_token_id") for end in ("bos", "eos"))

    def text(token: int | None) -> str:
        return "" if token is None else tokens[token].decode()

    return ModelFile(
        trained_context=int(facts[f"{facts['general.architecture']}.context_length"]),
        template=facts.get("tokenizer.chat_template"),
        control_tokens=tuple(
            token.decode() for token, kind in zip(tokens, types, strict=False) if kind in special
        ),
        bos_token=text(bos),
        eos_token=text(eos),
        start_token=bos if bos is not None else eos,
        vocabulary=len(tokens),
        insertion=_insertion(facts, tokens),
    )


def _insertion(facts: dict[str, Any], tokens: list[bytes]) -> tuple[int, int, int] | None:
    """Return the tokens before a prefix, a suffix and the middle; None where there are not all."""
    found: list[int] = []
    for role, names in zip(("pre", "suf", "mid"), _INSERTION_NAMES, strict=True):
        token = facts.get(f"tokenizer.ggml.fim_{role}_token_id")
        known = [place for place, name in enumerate(tokens) if name.removeprefix(_BLANK) in names]
        if token is None and not known:
            return None
        found.append(known[0] if token is None else token)
    return found[0], found[1], found[2]


class _Reader:
    """Walks over the key-value pairs at the beginning of the file."""

    def __init__(self, view: mmap.mmap) -> None:
        self._view = view
        self._at = 0

    def metadata(self) -> dict[str, Any]:
        if self._view[:4] != _MAGIC:
            raise DamagedFileError("it is no GGUF file")
        self._at = 4
        version = self._scalar("I")
        if version not in (2, 3):
            raise DamagedFileError(f"GGUF version {version} is not known")
        self._scalar("Q")
        pairs = self._scalar("Q")
        return {self._string().decode(): self._value() for _ in range(pairs)}

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
        values = struct.unpack_from(f"<{length}{_SCALARS[kind]}", self._view, self._at)
        self._at += struct.calcsize(f"<{length}{_SCALARS[kind]}")
        return list(values)

    def _string(self) -> bytes:
        length = self._scalar("Q")
        start = self._at
        self._at += length
        if self._at > len(self._view):
            raise IndexError
        return self._view[start : self._at]

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._view, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value
