"""Writes a sentence transformer of BERT's kind as a GGUF file in full precision, for llama.cpp.

Run: ``python bench/minilm_gguf.py model.safetensors minilm.gguf``. The model's other files must lie
beside its weights. Nothing is rounded, so that engines are compared on the same numbers.
"""

import argparse
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_HEAD: Final = struct.Struct("<4sIQQ")
_U32, _F32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_ALIGNMENT: Final = 32
_NORMAL, _CONTROL = 1, 3
_MEAN_POOLING: Final = 1
_FLOAT32: Final = 0
_WORD_START: Final = "\u2581"
_OUTER: Final = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
_INNER: Final = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}

Array = NDArray[np.float32]


def write(weights: Path, path: Path) -> None:
    """Write the model whose weights these are to ``path``."""
    config = json.loads(weights.with_name("config.json").read_bytes())
    tokenizer = json.loads(weights.with_name("tokenizer.json").read_bytes())
    tensors = dict(_tensors(_safetensors(weights), config["num_hidden_layers"]))
    pairs = [*_architecture(config), *_vocabulary(tokenizer["model"]["vocab"])]
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        file.writelines(_file(pairs, tensors))
    partial.replace(path)


def _safetensors(path: Path) -> dict[str, Array]:
    data = np.memmap(path, np.uint8, "r")
    size = int.from_bytes(data[:8].tobytes(), "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size].tobytes())
    return {
        name: data[8 + size + begin : 8 + size + end].view(np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
        for begin, end in [entry["data_offsets"]]
    }


def _tensors(arrays: Mapping[str, Array], layers: int) -> Iterator[tuple[str, Array]]:
    names = dict(_OUTER)
    for layer in range(layers):
        names |= {f"encoder.layer.{layer}.{k}": f"blk.{layer}.{v}" for k, v in _INNER.items()}
    for theirs, ours in names.items():
        for ending in ("",) if theirs in arrays else (".weight", ".bias"):
            yield ours + ending, arrays[theirs + ending]


def _architecture(config: Mapping[str, Any]) -> Iterator[bytes]:
    yield _text("general.architecture", "bert")
    yield from (
        _number("bert.context_length", config["max_position_embeddings"]),
        _number("bert.embedding_length", config["hidden_size"]),
        _number("bert.feed_forward_length", config["intermediate_size"]),
        _number("bert.block_count", config["num_hidden_layers"]),
        _number("bert.attention.head_count", config["num_attention_heads"]),
        _number("bert.pooling_type", _MEAN_POOLING),
        _number("general.alignment", _ALIGNMENT),
    )
    epsilon = struct.pack("<If", _F32, config["layer_norm_eps"])
    yield _string("bert.attention.layer_norm_epsilon") + epsilon
    yield _string("bert.attention.causal") + struct.pack("<I?", _BOOL, False)  # noqa: FBT003 - packed


def _vocabulary(vocabulary: Mapping[str, int]) -> Iterator[bytes]:
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    kinds = [_CONTROL if _is_control(word) else _NORMAL for word in words]
    yield _text("tokenizer.ggml.model", "bert")
    yield _text("tokenizer.ggml.pre", "default")
    yield _string("tokenizer.ggml.tokens") + _array(_STRING, map(_string, map(_spelt, words)))
    kinds_packed = (struct.pack("<i", kind) for kind in kinds)
    yield _string("tokenizer.ggml.token_type") + _array(5, kinds_packed)
    yield _number("tokenizer.ggml.token_type_count", 2)
    ends = {"bos": "[CLS]", "cls": "[CLS]", "eos": "[SEP]", "seperator": "[SEP]"}
    for name, word in {**ends, "unknown": "[UNK]", "padding": "[PAD]"}.items():
        yield _number(f"tokenizer.ggml.{name}_token_id", vocabulary[word])


def _spelt(word: str) -> str:
    """Write a piece as llama.cpp does: it marks where words begin, not where they go on."""
    if _is_control(word):
        return word
    return word.removeprefix("##") if word.startswith("##") else _WORD_START + word


def _is_control(word: str) -> bool:
    return word.startswith("[") and word.endswith("]") and len(word) > 2


def _array(kind: int, elements: Iterator[bytes]) -> bytes:
    given = list(elements)
    return struct.pack("<IIQ", _ARRAY, kind, len(given)) + b"".join(given)


def _text(name: str, value: str) -> bytes:
    return _string(name) + struct.pack("<I", _STRING) + _string(value)


def _number(name: str, value: int) -> bytes:
    return _string(name) + struct.pack("<II", _U32, value)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _file(pairs: Sequence[bytes], tensors: Mapping[str, Array]) -> Iterator[bytes]:
    parts = [_HEAD.pack(b"GGUF", 3, len(tensors), len(pairs)), *pairs]
    offset = 0
    for name, array in tensors.items():
        shape = struct.pack(f"<I{array.ndim}Q", array.ndim, *reversed(array.shape))
        parts.append(_string(name) + shape + struct.pack("<IQ", _FLOAT32, offset))
        offset += len(_aligned(array.tobytes()))
    yield _aligned(b"".join(parts))
    for array in tensors.values():
        yield _aligned(array.tobytes())


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="model.safetensors")
    parser.add_argument("path", type=Path, help="the file to write")
    given = parser.parse_args()
    write(given.weights, given.path)
    print(f"{given.path}: {given.path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
