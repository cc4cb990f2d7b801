"""Writes a random-weight Llama of about one million parameters as a GGUF file.

Run: ``python bench/tiny_model.py tiny.gguf``. So small a model hides nothing of what a server costs
per token. Tokenizer and chat template come from the tests' tiny model, whose head is copied as
bytes. The format is written here, in Q8_0, so that the benchmark needs no package of its own.

Under greedy sampling the model never stops early and every token carries text: the output rows of
all other tokens (control tokens, parts of characters) are zero, and among thousands of random
logits there is always one above zero.
"""

import argparse
import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOKENIZER: Final = Path(__file__).parent.parent / "tests" / "data" / "tiny-chat" / "chat-q8_0.gguf"
_HEAD: Final = struct.Struct("<4sIQQ")
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_U32, _F32, _STRING, _ARRAY = 4, 6, 8, 9
_ALIGNMENT: Final = 32
_BLOCK: Final = 32
_DENSE, _Q8_0 = 0, 8  # types of tensors
_NORMAL_TOKEN: Final = 1

_WIDTH, _LAYERS, _FEED_FORWARD = 64, 12, 192
_HEADS, _KEY_HEADS = 2, 1
_WINDOW: Final = 4096
_SCALE: Final = 0.0012  # of a weight's 8 bits: keeps activations near one


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the file holds it; ``shape`` begins with the length of a row."""

    name: str
    shape: tuple[int, ...]
    kind: int
    data: bytes


class Head:
    """The key-value pairs of a GGUF file as raw bytes, by name."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = _HEAD.size
        magic, _, _, count = _HEAD.unpack_from(data)
        if magic != b"GGUF":
            raise ValueError("not a GGUF file")
        self.pairs: dict[str, bytes] = {}
        for _ in range(count):
            start = self._at
            name = self._string().decode()
            self._skip(self._number(_U32))
            self.pairs[name] = data[start : self._at]

    def array(self, name: str) -> Iterator[bytes]:
        """Yield the raw elements of an array of numbers or strings."""
        self._at = self._data.index(self.pairs[name]) + len(_string(name)) + 4
        kind, length = self._number(_U32), self._number(10)
        for _ in range(length):
            yield self._string() if kind == _STRING else self._take(_SIZES[kind])

    def _skip(self, kind: int) -> None:
        if kind == _STRING:
            self._string()
        elif kind == _ARRAY:
            inner, length = self._number(_U32), self._number(10)
            for _ in range(length):
                self._skip(inner)
        else:
            self._at += _SIZES[kind]

    def _string(self) -> bytes:
        return self._take(self._number(10))

    def _number(self, kind: int) -> int:
        return int.from_bytes(self._take(_SIZES[kind]), "little")

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]


def write(path: Path, source: Path = TOKENIZER) -> int:
    """Write the model with the tokenizer of ``source``; return its number of parameters."""
    head = Head(source.read_bytes())
    speaks = _speaking_tokens(head)
    tensors = list(_tensors(speaks, random.Random(1)))  # noqa: S311 - weights, no secret
    pairs = _pairs(head.pairs, len(speaks))
    partial = path.with_suffix(".part")
    partial.write_bytes(b"".join(_file(pairs, tensors)))
    partial.replace(path)
    return sum(_elements(tensor.shape) for tensor in tensors)


def _speaking_tokens(head: Head) -> list[bool]:
    """Say of each token whether it is plain text of its own; control tokens are not."""
    tokens = head.array("tokenizer.ggml.tokens")
    texts = [token.decode() for token in tokens]
    kinds = [int.from_bytes(kind, "little") for kind in head.array("tokenizer.ggml.token_type")]
    return [
        kind == _NORMAL_TOKEN and text.removeprefix("Ġ").isalpha() and text[1:].isascii()
        for text, kind in zip(texts, kinds, strict=True)
    ]


def _pairs(given: Mapping[str, bytes], tokens: int) -> list[bytes]:
    """Return the pairs of the new file: its own sizes, the tokenizer as given."""
    numbers = {
        "llama.context_length": _WINDOW,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": _LAYERS,
        "llama.feed_forward_length": _FEED_FORWARD,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _KEY_HEADS,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": tokens,
        "general.file_type": 7,
        "general.alignment": _ALIGNMENT,
    }
    rate = _string("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _F32, 1e-5)
    return [
        _string("general.architecture") + struct.pack("<I", _STRING) + _string("llama"),
        *(_string(name) + struct.pack("<II", _U32, value) for name, value in numbers.items()),
        rate,
        *(pair for name, pair in given.items() if name.startswith("tokenizer.")),
    ]


def _tensors(speaks: Sequence[bool], chance: random.Random) -> Iterator[Tensor]:
    keys = _WIDTH // _HEADS * _KEY_HEADS
    rows = [_row(_WIDTH, chance) if spoken else bytes(_row_bytes(_WIDTH)) for spoken in speaks]
    yield Tensor("token_embd.weight", (_WIDTH, len(speaks)), _Q8_0, b"".join(rows))
    yield _norm("output_norm")
    for layer in range(_LAYERS):
        name = f"blk.{layer}"
        yield _norm(f"{name}.attn_norm")
        yield _norm(f"{name}.ffn_norm")
        yield _matrix(f"{name}.attn_q", _WIDTH, _WIDTH, chance)
        yield _matrix(f"{name}.attn_k", keys, _WIDTH, chance)
        yield _matrix(f"{name}.attn_v", keys, _WIDTH, chance)
        yield _matrix(f"{name}.attn_output", _WIDTH, _WIDTH, chance)
        yield _matrix(f"{name}.ffn_gate", _FEED_FORWARD, _WIDTH, chance)
        yield _matrix(f"{name}.ffn_up", _FEED_FORWARD, _WIDTH, chance)
        yield _matrix(f"{name}.ffn_down", _WIDTH, _FEED_FORWARD, chance)


def _norm(name: str) -> Tensor:
    return Tensor(f"{name}.weight", (_WIDTH,), _DENSE, struct.pack("<f", 1.0) * _WIDTH)


def _matrix(name: str, rows: int, columns: int, chance: random.Random) -> Tensor:
    data = b"".join(_row(columns, chance) for _ in range(rows))
    return Tensor(f"{name}.weight", (columns, rows), _Q8_0, data)


def _row(columns: int, chance: random.Random) -> bytes:
    """Return a row of Q8_0: per block of 32 a scale and 32 signed bytes."""
    scale = struct.pack("<e", _SCALE)
    return b"".join(scale + chance.randbytes(_BLOCK) for _ in range(columns // _BLOCK))


def _row_bytes(columns: int) -> int:
    return columns // _BLOCK * (2 + _BLOCK)


def _file(pairs: Sequence[bytes], tensors: Sequence[Tensor]) -> Iterator[bytes]:
    """Yield head, pairs, table of tensors and their data, each aligned."""
    parts = [_HEAD.pack(b"GGUF", 3, len(tensors), len(pairs)), *pairs]
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts.append(_string(tensor.name) + shape + struct.pack("<IQ", tensor.kind, offset))
        offset += len(_aligned(tensor.data))
    yield _aligned(b"".join(parts))
    for tensor in tensors:
        yield _aligned(tensor.data)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _elements(shape: Sequence[int]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the file to write")
    path = parser.parse_args().path
    print(f"{path}: {write(path):,} parameters")


if __name__ == "__main__":
    main()
