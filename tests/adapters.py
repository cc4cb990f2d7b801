"""Adapters (LoRA) of random numbers, for weights that a test has at hand."""

import math
import mmap
import struct

import numpy as np

from freehold.engines import gguf

RANK, ALPHA = 4, 8.0
_F16 = 1


def head_of(path):
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return gguf.read_head(view)


def write(path, parts, *, kind="lora"):
    """Write an adapter's file from its tensors, numpy arrays by name."""
    facts = _text("general.type", "adapter") + _text("adapter.type", kind)
    facts += _name("adapter.lora.alpha") + struct.pack("<If", 6, ALPHA)
    facts += _text("general.architecture", "llama")
    entries, data = b"", b""
    for name, numbers in parts.items():
        entries += gguf.entry(gguf.Tensor(name, numbers.shape[::-1], _F16, len(data)))
        data += numbers.astype("<f2").tobytes()
        data += bytes(-len(data) % 32)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(parts), 4) + facts + entries
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def random(path, weights, *, strength=0.02, seed=0, only=".attn_q."):
    """Write an adapter that changes the matrices of these weights whose name has ``only``."""
    draw = np.random.default_rng(seed)
    parts = {}
    for tensor in head_of(weights).tensors:
        if only in tensor.name and tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            columns, rows = tensor.shape
            parts[f"{tensor.name}.lora_a"] = draw.normal(0, strength, (RANK, columns))
            parts[f"{tensor.name}.lora_b"] = draw.normal(0, 1 / math.sqrt(RANK), (rows, RANK))
    return write(path, parts)


def _name(name):
    return struct.pack("<Q", len(name)) + name.encode()


def _text(name, value):
    return _name(name) + struct.pack("<IQ", 8, len(value)) + value.encode()
