"""The number types of tensors that an adapter may change, and the one that they get."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from freehold.engines.gguf import Tensor

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]

F32: Final = 0
F16: Final = 1
Q4_1: Final = 3
Q8_0: Final = 8
BLOCK: Final = 32
_Q4_1: Final = np.dtype([("scale", "<f2"), ("least", "<f2"), ("pairs", "u1", BLOCK // 2)])
_Q8_0: Final = np.dtype([("scale", "<f2"), ("steps", "i1", BLOCK)])
_NUMBERS: Final = {F32: 1, F16: 1, Q4_1: BLOCK, Q8_0: BLOCK}
_BYTES: Final = {F32: 4, F16: 2, Q4_1: _Q4_1.itemsize, Q8_0: _Q8_0.itemsize}
_MOST_STEPS: Final = 127


def size(tensor: Tensor) -> int:
    """Return a tensor's bytes. Raises ``ValueError`` for a number type that is not known here."""
    if tensor.kind not in _BYTES:
        raise ValueError(f"{tensor.name} has the number type {tensor.kind}, which is not known")
    return tensor.numbers // _NUMBERS[tensor.kind] * _BYTES[tensor.kind]


def floats(data: Bytes, kind: int) -> Floats:
    """Return the numbers, in one row."""
    if kind in (F32, F16):
        return data.view("<f4" if kind == F32 else "<f2").astype(np.float32)
    blocks = data.view(_Q4_1 if kind == Q4_1 else _Q8_0)
    scale = blocks["scale"].astype(np.float32)[:, None]
    if kind == Q8_0:
        return (blocks["steps"] * scale).reshape(-1)
    steps = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1)
    return (steps * scale + blocks["least"].astype(np.float32)[:, None]).reshape(-1)


def as_q8_0(numbers: Floats) -> bytes:
    """Return the numbers as Q8_0; there must be whole blocks of 32."""
    rows = numbers.reshape(-1, BLOCK)
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(_MOST_STEPS)
    finer = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    steps = rows * finer
    blocks = np.empty(len(rows), _Q8_0)
    blocks["scale"] = scale[:, 0]
    blocks["steps"] = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps)
    return blocks.tobytes()
