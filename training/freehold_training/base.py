"""The base model's weights and tokenizer, read from a GGUF file or an original model folder."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Checked without gguf and safetensors, which are only in the extra `train`.

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

_CONTROL_TOKEN, _USER_DEFINED_TOKEN = 3, 4
_HF_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_HF_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Llama."""

    layers: int
    heads: int
    key_heads: int
    head_width: int
    rope_base: float
    epsilon: float


@dataclass(frozen=True, slots=True)
class Base:
    """A model: float32 weights by their GGUF names, with q and k in the order of a Llama folder.

    In that order a head's rows i and i + half are turned together; in GGUF, rows 2i and 2i + 1.
    """

    name: str
    shape: Shape
    weights: Mapping[str, NDArray[np.float32]]


def read(path: Path) -> Base:
    """Return the model of a GGUF file or of a folder with safetensors."""
    return _read_folder(path) if path.is_dir() else _read_gguf(path)


def tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a GGUF file or of a folder with tokenizer.json."""
    if path.is_dir():
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    fields = _gguf(path).fields
    if (kind := fields["tokenizer.ggml.pre"].contents()) != "smollm":
        raise ValueError(f"{path} has an unknown tokenizer: {kind}")
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    whole = (_CONTROL_TOKEN, _USER_DEFINED_TOKEN)
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind in whole]
    return byte_pairs(tokens, fields["tokenizer.ggml.merges"].contents(), special)


def byte_pairs(tokens: Sequence[str], merges: Sequence[str], special: Sequence[str]) -> Tokenizer:
    """Return a byte-level tokenizer that takes each digit by itself, as SmolLM's does."""
    pairs: list[tuple[str, str]] = []
    for merge in merges:
        first, second = merge.split(" ")
        pairs.append((first, second))
    built = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, pairs))
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens(list(special))
    return built


def split_halves(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Turn q or k rows from GGUF's order (2i, 2i + 1) into a Llama folder's (i, i + half)."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def interleave(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Turn q or k rows from a Llama folder's order into GGUF's."""
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _gguf(path: Path) -> Any:
    import gguf  # noqa: PLC0415 - only in the extra `train`

    return gguf.GGUFReader(path)


def _read_gguf(path: Path) -> Base:
    from gguf.quants import dequantize  # noqa: PLC0415 - only in the extra `train`

    reader = _gguf(path)

    def fact(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    heads = fact("attention.head_count")
    shape = Shape(
        layers=fact("block_count"),
        heads=heads,
        key_heads=fact("attention.head_count_kv"),
        head_width=fact("embedding_length") // heads,
        rope_base=fact("rope.freq_base"),
        epsilon=fact("attention.layer_norm_rms_epsilon"),
    )
    weights: dict[str, NDArray[np.float32]] = {}
    for tensor in reader.tensors:
        data = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        weights[tensor.name] = _in_halves(tensor.name, data, shape)
    return Base(reader.fields["general.name"].contents(), shape, weights)


def _in_halves(name: str, data: NDArray[Any], shape: Shape) -> NDArray[Any]:
    if name.endswith("attn_q.weight"):
        return split_halves(data, shape.heads)
    if name.endswith("attn_k.weight"):
        return split_halves(data, shape.key_heads)
    return data


def _read_folder(path: Path) -> Base:
    from safetensors.torch import load_file  # noqa: PLC0415 - only in the extra `train`

    config = json.loads((path / "config.json").read_text("utf-8"))
    heads = config["num_attention_heads"]
    shape = Shape(
        layers=config["num_hidden_layers"],
        heads=heads,
        key_heads=config["num_key_value_heads"],
        head_width=config["hidden_size"] // heads,
        rope_base=config["rope_theta"],
        epsilon=config["rms_norm_eps"],
    )
    weights = {
        gguf_name(name): tensor.float().numpy()
        for file in sorted(path.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    return Base(path.name, shape, weights)


def gguf_name(name: str) -> str:
    """Return the GGUF name of a tensor of a Llama folder."""
    if whole := _HF_WHOLE.get(name):
        return whole
    number, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{number}.{_HF_LAYER[part]}.weight"
