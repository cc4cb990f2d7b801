"""BERT as an ONNX graph, made from the weights when they are loaded.

The file of weights stays what was pulled and checked; nothing is converted on disk.
"""

import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it has none
from numpy.typing import NDArray

from freehold.data.embedder_options import Precision
from freehold.engines.backends.minilm_embedder import UnfitWeightsError
from freehold.engines.backends.minilm_onnx import FUSED, Graph

Array = NDArray[Any]
Arrays = Mapping[str, Array]

_TYPES: Final = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}
# Processors without VNNI add two products into 16 bits: 7 bits never overflow.
_LARGEST_WHOLE: Final = 63
_runtime: Any = onnxruntime


@dataclass(frozen=True, slots=True)
class Shape:
    """What ``config.json`` says of the model."""

    layers: int
    heads: int
    places: int
    epsilon: float

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Shape":
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise UnfitWeightsError("config.json describes no BERT model with GELU")
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            places=config["max_position_embeddings"],
            epsilon=config["layer_norm_eps"],
        )


class Safetensors:
    """The arrays of a file, mapped from the disk."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            (size,) = struct.unpack_from("<Q", self._mapped)
            header = json.loads(self._mapped[8 : 8 + size])
            header.pop("__metadata__", None)
            self.arrays: Arrays = {
                name: _array(self._mapped, 8 + size, entry) for name, entry in header.items()
            }
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise UnfitWeightsError(f"{path.name} is no safetensors file") from error

    def forget(self) -> None:
        """Give the memory back; what is read again comes from the disk's cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


def _array(mapped: mmap.mmap, start: int, entry: Mapping[str, Any]) -> Array:
    begin, end = entry["data_offsets"]
    kind = np.dtype(_TYPES[entry["dtype"]])
    count = (end - begin) // kind.itemsize
    return np.frombuffer(mapped, kind, count, start + begin).reshape(entry["shape"])


class _Builder:
    """Adds BERT's layers to a graph and keeps the arrays that they need."""

    def __init__(self, arrays: Arrays, shape: Shape) -> None:
        self.graph = Graph()
        self.weights: dict[str, Array] = {}
        self._arrays = arrays
        self._shape = shape

    def build(self) -> None:
        tokens = self.graph.input("tokens", "int32", ("batch", "length"))
        lengths = self.graph.input("lengths", "int32", ("batch",))
        hidden = self._embedding(tokens)
        for number in range(self._shape.layers):
            hidden = self._layer(f"encoder.layer.{number}.", hidden, lengths)
        self.graph.output(hidden, "float32", ("batch", "length", "hidden"))

    def _embedding(self, tokens: str) -> str:
        segments = self._floats("embeddings.token_type_embeddings.weight")
        places = self._floats("embeddings.position_embeddings.weight") + segments[0]
        inputs = (
            tokens,
            "",
            self._keep("words", self._floats("embeddings.word_embeddings.weight")),
            self._keep("places", places),
            "",
            *self._norm("embeddings.LayerNorm."),
        )
        epsilon = self._shape.epsilon
        self.graph.add(
            "EmbedLayerNormalization", inputs, ("embedded", "counted"), FUSED, epsilon=epsilon
        )
        return "embedded"

    def _layer(self, layer: str, hidden: str, lengths: str) -> str:
        attended = self._attention(layer, hidden, lengths)
        first = self._project(layer + "attention.output.", attended, hidden)
        wide = self._multiply(layer + "intermediate.dense.", first)
        bias = self._keep(layer + "wide.bias", self._floats(layer + "intermediate.dense.bias"))
        self.graph.add("BiasGelu", (wide, bias), (layer + "gelu",), FUSED)
        return self._project(layer + "output.", layer + "gelu", first)

    def _attention(self, layer: str, hidden: str, lengths: str) -> str:
        parts = [f"{layer}attention.self.{part}." for part in ("query", "key", "value")]
        weight = np.concatenate([self._floats(part + "weight").T for part in parts], axis=1)
        bias = np.concatenate([self._floats(part + "bias") for part in parts])
        self._attend(layer, hidden, (weight, bias), lengths)
        return layer + "attended"

    def _attend(self, layer: str, hidden: str, qkv: tuple[Array, Array], lengths: str) -> None:
        matrix, bias = self._keep(layer + "qkv", qkv[0]), self._keep(layer + "qkv.bias", qkv[1])
        inputs = (hidden, matrix, bias, lengths)
        heads = self._shape.heads
        self.graph.add("Attention", inputs, (layer + "attended",), FUSED, num_heads=heads)

    def _project(self, part: str, value: str, residual: str) -> str:
        """Multiply, then add the residual and normalise."""
        inputs = (
            self._multiply(part + "dense.", value),
            residual,
            *self._norm(part + "LayerNorm."),
            self._keep(part + "bias", self._floats(part + "dense.bias")),
        )
        epsilon = self._shape.epsilon
        self.graph.add("SkipLayerNormalization", inputs, (part + "out",), FUSED, epsilon=epsilon)
        return part + "out"

    def _multiply(self, part: str, value: str) -> str:
        weight = self._keep(part + "matrix", self._floats(part + "weight").T)
        self.graph.add("MatMul", (value, weight), (part + "product",))
        return part + "product"

    def _norm(self, part: str) -> tuple[str, str]:
        scale = self._keep(part + "scale", self._floats(part + "weight"))
        return scale, self._keep(part + "shift", self._floats(part + "bias"))

    def _floats(self, name: str) -> Array:
        try:
            return self._arrays[name].astype(np.float32, copy=False)
        except KeyError as error:
            raise UnfitWeightsError(f"the weights lack {name}") from error

    def _keep(self, name: str, array: Array) -> str:
        self.weights[name] = np.ascontiguousarray(array)
        return self.graph.weight(name, "float32", array.shape)


class _Int8Builder(_Builder):
    """Multiplies whole numbers: the layers' weights once and for all, what meets them each time.

    The word vectors stay as they are: they are looked up, not multiplied.
    """

    def _multiply(self, part: str, value: str) -> str:
        matrix, steps = self._whole(part + "matrix", self._floats(part + "weight").T)
        self.graph.add("DynamicQuantizeMatMul", (value, matrix, steps), (part + "product",), FUSED)
        return part + "product"

    def _attend(self, layer: str, hidden: str, qkv: tuple[Array, Array], lengths: str) -> None:
        matrix, steps = self._whole(layer + "qkv", qkv[0])
        whole, step, zero = (f"{layer}hidden.{part}" for part in ("whole", "step", "zero"))
        self.graph.add("DynamicQuantizeLinear", (hidden,), (whole, step, zero))
        bias = self._keep(layer + "qkv.bias", qkv[1])
        inputs = (whole, matrix, bias, step, steps, lengths, zero)
        heads = self._shape.heads
        self.graph.add("QAttention", inputs, (layer + "attended",), FUSED, num_heads=heads)

    def _whole(self, name: str, matrix: Array) -> tuple[str, str]:
        """Keep a matrix as whole numbers; returns its name and that of its columns' steps."""
        steps: Array = np.maximum(np.abs(matrix).max(axis=0), 1e-12) / _LARGEST_WHOLE
        whole: Array = np.round(matrix / steps).astype(np.int8)
        self.weights[name] = np.ascontiguousarray(whole)
        self.graph.weight(name, "int8", whole.shape)
        return name, self._keep(name + ".steps", steps.astype(np.float32))


_BUILDERS: Final[Mapping[Precision, type[_Builder]]] = {"float32": _Builder, "int8": _Int8Builder}


class Network:
    """The loaded model: tokens and lengths to the last layer's vectors."""

    def __init__(
        self, arrays: Arrays, shape: Shape, threads: int, precision: Precision = "float32"
    ) -> None:
        builder = _BUILDERS[precision](arrays, shape)
        builder.build()
        self.vocabulary, self.dimensions = builder.weights["words"].shape
        self._weights = builder.weights  # the runtime reads them where they lie
        options = _runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        values = [_runtime.OrtValue.ortvalue_from_numpy(array) for array in self._weights.values()]
        options.add_external_initializers(list(self._weights), values)
        self._session = _runtime.InferenceSession(
            builder.graph.model(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, tokens: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the vectors of padded rows of tokens; those of the padding mean nothing."""
        return self._session.run(None, {"tokens": tokens, "lengths": lengths})[0]
