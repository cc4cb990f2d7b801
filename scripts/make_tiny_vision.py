"""Write tests/data/tiny-vision: random eyes for the tests' tiny chat model.

A CLIP encoder of two layers and a LLaVA projector, as llama.cpp loads them with ``mmproj``. Its
numbers are random (of a fixed seed): what it sees means nothing, but every picture is 16 tokens,
and different pictures are different tokens.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).parent.parent / "tests" / "data" / "tiny-vision" / "mmproj-f32.gguf"
ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
SIDE, PATCH = 56, 14
WIDTH, FEED_FORWARD, LAYERS, HEADS = 32, 64, 2, 2
CHAT_WIDTH = 256  # of the tiny chat model
PATCHES = (SIDE // PATCH) ** 2

Tensor = tuple[str, tuple[int, ...], bytes]


def main() -> None:
    """Write the file."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(b"".join(_file()))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


def _file() -> Iterator[bytes]:
    tensors, pairs = list(_tensors()), list(_pairs())
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(pairs)) + b"".join(pairs)
    at = 0
    for name, shape, data in tensors:
        head += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0, at)
        at += len(_aligned(data))
    yield _aligned(head)
    for _, _, data in tensors:
        yield _aligned(data)


def _pairs() -> Iterator[bytes]:
    texts = {"general.architecture": "clip", "clip.projector_type": "mlp"}
    for name, text in texts.items():
        yield _string(name) + struct.pack("<I", STRING) + _string(text)
    for name in ("clip.has_vision_encoder", "clip.use_gelu"):
        yield _string(name) + struct.pack("<I?", BOOL, True)  # noqa: FBT003 - a value to write
    numbers = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "projection_dim": CHAT_WIDTH,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
    }
    for name, number in numbers.items():
        yield _string(f"clip.vision.{name}") + struct.pack("<II", U32, number)
    yield _string("clip.vision.attention.layer_norm_epsilon") + struct.pack("<If", F32, 1e-5)
    for name in ("image_mean", "image_std"):
        values = struct.pack("<IIQ3f", ARRAY, F32, 3, 0.5, 0.5, 0.5)
        yield _string(f"clip.vision.{name}") + values


def _tensors() -> Iterator[Tensor]:
    chance = random.Random(1)  # noqa: S311 - weights, no secret
    yield _random("v.class_embd", chance, WIDTH)
    yield _random("v.patch_embd.weight", chance, PATCH, PATCH, 3, WIDTH)
    yield _random("v.position_embd.weight", chance, WIDTH, PATCHES + 1)
    yield from _norm("v.pre_ln")
    yield from _norm("v.post_ln")
    for layer in range(LAYERS):
        block = f"v.blk.{layer}"
        for norm in ("ln1", "ln2"):
            yield from _norm(f"{block}.{norm}")
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from _layer(f"{block}.{part}", chance, WIDTH, WIDTH)
        yield from _layer(f"{block}.ffn_up", chance, WIDTH, FEED_FORWARD)
        yield from _layer(f"{block}.ffn_down", chance, FEED_FORWARD, WIDTH)
    yield from _layer("mm.0", chance, WIDTH, CHAT_WIDTH)
    yield from _layer("mm.2", chance, CHAT_WIDTH, CHAT_WIDTH)


def _layer(name: str, chance: random.Random, inputs: int, outputs: int) -> Iterator[Tensor]:
    yield _random(f"{name}.weight", chance, inputs, outputs)
    yield f"{name}.bias", (outputs,), _floats([0.0] * outputs)


def _norm(name: str) -> Iterator[Tensor]:
    yield f"{name}.weight", (WIDTH,), _floats([1.0] * WIDTH)
    yield f"{name}.bias", (WIDTH,), _floats([0.0] * WIDTH)


def _random(name: str, chance: random.Random, *shape: int) -> Tensor:
    count = 1
    for side in shape:
        count *= side
    return name, shape, _floats([chance.gauss(0, 0.1) for _ in range(count)])


def _floats(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


if __name__ == "__main__":
    main()
