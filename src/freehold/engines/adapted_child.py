"""The program that merges an adapter (LoRA) into weights and writes them as Q8_0.

Arguments: the weights, the adapter, the file to write; all GGUF. A process of its own, for what it
takes in memory. After each tensor it writes the bytes done and the bytes in all to its output.
Tensors that the adapter does not touch stay as they are, but Q4_1 becomes Q8_0: llama.cpp's
fast kernels leave Q4_1 out.
"""

import mmap
import os
import struct
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from freehold.engines.adapted_numbers import BLOCK, Q4_1, Q8_0, Bytes, Floats, as_q8_0, floats, size
from freehold.engines.gguf import Head, Tensor, entry, read_head

_FILE_TYPE: Final = "general.file_type"
_MOSTLY_Q8_0: Final = 7
_ENDINGS: Final = (".lora_a", ".lora_b")


def main() -> None:
    base, adapter, target = map(Path, sys.argv[1:])
    try:
        merge(_Model(base), Adapter(adapter), target)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(3)


def merge(base: "_Model", adapter: "Adapter", target: Path) -> None:
    """Write the merged weights. Raises ``ValueError`` where the adapter is not made for them."""
    adapter.check(base.head)
    tensors = [_served(tensor, adapter) for tensor in base.head.tensors]
    alignment = base.head.alignment
    placed, total = _placed(tensors, alignment)
    with target.open("wb") as file:
        file.write(_facts(base))
        file.write(b"".join(map(entry, placed)))
        _pad(file, alignment)
        for old, new in zip(base.head.tensors, placed, strict=True):
            file.write(_written(base, old, new, adapter))
            _pad(file, alignment)
            sys.stdout.write(f"{new.offset + size(new)} {total}\n")
            sys.stdout.flush()
        file.flush()
        os.fsync(file.fileno())


class _Model:
    """A GGUF file: its head, and its tensors' bytes."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.head = read_head(self.view)

    def bytes(self, tensor: Tensor) -> Bytes:
        start = self.head.data + tensor.offset
        return np.frombuffer(self.view, np.uint8, size(tensor), start)

    def floats(self, tensor: Tensor) -> Floats:
        """Return the tensor as a matrix, row by row."""
        return floats(self.bytes(tensor), tensor.kind).reshape(tensor.shape[::-1])


class Adapter(_Model):
    """A LoRA adapter: for each tensor that it changes, two thin matrices and how strongly."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        facts: Mapping[str, object] = self.head.facts
        if facts.get("general.type") != "adapter" or facts.get("adapter.type") != "lora":
            raise ValueError(f"{path.name} is no LoRA adapter")
        self._alpha = float(self.head.facts["adapter.lora.alpha"])
        self._parts = {tensor.name: tensor for tensor in self.head.tensors}

    def changes(self, name: str) -> bool:
        return name + _ENDINGS[0] in self._parts

    def check(self, base: Head) -> None:
        """Raise ``ValueError`` for parts that fit no tensor of the weights."""
        shapes = {tensor.name: tensor.shape for tensor in base.tensors}
        for part in self._parts.values():
            name = part.name.removesuffix(_ENDINGS[0]).removesuffix(_ENDINGS[1])
            pair = [self._parts[name + end].shape for end in _ENDINGS if name + end in self._parts]
            shape = shapes.get(name, ())
            if len(pair) != 2 or len(shape) != 2 or _product(*pair) != shape or shape[0] % BLOCK:
                raise ValueError(f"the adapter's {part.name} does not fit the weights")

    def change(self, name: str) -> Floats:
        """Return what is added to a tensor; the same on every machine, so in double precision."""
        a, b = (self.floats(self._parts[name + end]).astype(np.float64) for end in _ENDINGS)
        return (self._alpha / len(a) * (b @ a)).astype(np.float32)


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of the two matrices' product, None where there is none."""
    return (a[0], b[1]) if len(a) == len(b) == 2 and a[1] == b[0] else None


def _served(tensor: Tensor, adapter: Adapter) -> Tensor:
    changes = tensor.kind == Q4_1 or adapter.changes(tensor.name)
    return replace(tensor, kind=Q8_0) if changes else tensor


def _placed(tensors: list[Tensor], alignment: int) -> tuple[list[Tensor], int]:
    """Return the tensors one after another, and the bytes they take."""
    placed: list[Tensor] = []
    end = 0
    for tensor in tensors:
        placed.append(replace(tensor, offset=end))
        end += size(tensor)
        end += -end % alignment
    return placed, end


def _facts(base: _Model) -> bytes:
    """Return the head up to the tensors' entries: as it was, but for the number type."""
    facts = bytearray(base.view[: base.head.facts_end])
    if _FILE_TYPE in base.head.facts:
        struct.pack_into("<I", facts, base.head.places[_FILE_TYPE], _MOSTLY_Q8_0)
    return bytes(facts)


def _written(base: _Model, old: Tensor, new: Tensor, adapter: Adapter) -> bytes:
    if old.kind == new.kind and not adapter.changes(old.name):
        return base.bytes(old).tobytes()
    numbers = base.floats(old)
    if adapter.changes(old.name):
        numbers += adapter.change(old.name)
    return as_q8_0(numbers)


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


if __name__ == "__main__":
    main()
