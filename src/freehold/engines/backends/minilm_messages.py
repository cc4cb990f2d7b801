"""What server and child say to each other: MessagePack after a length of four bytes."""

import struct
from typing import Final

import msgspec

_LENGTH: Final = struct.Struct("<I")
LENGTH_BYTES: Final = _LENGTH.size

Input = str | list[int]


class Embed(msgspec.Struct, tag=True, array_like=True):
    """Embed these inputs; the answer is ``Vectors``."""

    id: int
    inputs: list[Input]


class Count(msgspec.Struct, tag=True, array_like=True):
    """Count the tokens of these inputs; the answer is ``Counted``."""

    id: int
    inputs: list[Input]


class Cancel(msgspec.Struct, tag=True, array_like=True):
    """Nobody waits for this request any more; there is no answer."""

    id: int


class Ready(msgspec.Struct, tag=True, array_like=True):
    """The model is loaded."""

    dimensions: int
    window: int


class Unfit(msgspec.Struct, tag=True, array_like=True):
    """The model can't be loaded, and why."""

    reason: str


class Vectors(msgspec.Struct, tag=True, array_like=True):
    """Rows of float32, one per input, and each input's tokens."""

    id: int
    tokens: list[int]
    vectors: bytes


class Counted(msgspec.Struct, tag=True, array_like=True):
    """The tokens of each input."""

    id: int
    tokens: list[int]


class UnknownToken(msgspec.Struct, tag=True, array_like=True):
    """An input holds a token id that the model does not have."""

    id: int
    index: int
    token: int


Question = Embed | Count | Cancel
Answer = Vectors | Counted | UnknownToken
Greeting = Ready | Unfit


def packed(message: msgspec.Struct) -> bytes:
    """Return a message as it is sent."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


def length(head: bytes) -> int:
    """Return how many bytes follow the first four."""
    return _LENGTH.unpack(head)[0]
