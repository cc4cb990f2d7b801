"""Writes ONNX models: the few protocol-buffer messages that a graph of ours needs.

Field numbers are those of ``onnx.proto``. Weights are not written into the model: an initializer
says "external", and the runtime is handed the array itself.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Attribute = int | float
ElementType = Literal["float32", "uint8", "int8", "int32", "int64"]

_ELEMENT: Final[Mapping[ElementType, int]] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
}
_IR_VERSION = 8
_OPSET = 17
# The runtime's own operators: whole layers computed at once.
FUSED = "com.microsoft"
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE = 1, 2
_EXTERNAL = 1


@dataclass(slots=True)
class Graph:
    """A graph that grows by one operator at a time."""

    nodes: list[bytes] = field(default_factory=list[bytes])
    inputs: list[bytes] = field(default_factory=list[bytes])
    outputs: list[bytes] = field(default_factory=list[bytes])
    initializers: list[bytes] = field(default_factory=list[bytes])

    def input(self, name: str, kind: ElementType, shape: Sequence[str]) -> str:
        """Declare an input whose dimensions are named; returns its name."""
        self.inputs.append(_value(name, kind, shape))
        return name

    def output(self, name: str, kind: ElementType, shape: Sequence[str]) -> None:
        """Declare a value that some operator makes as an output."""
        self.outputs.append(_value(name, kind, shape))

    def weight(self, name: str, kind: ElementType, shape: Sequence[int]) -> str:
        """Declare an array that is handed to the runtime beside the model; returns its name."""
        place = _text(1, "location") + _text(2, "beside")
        self.initializers.append(
            b"".join(_number(1, size) for size in shape)
            + _number(2, _ELEMENT[kind])
            + _text(8, name)
            + _nested(13, place)
            + _number(14, _EXTERNAL)
        )
        return name

    def add(
        self,
        operator: str,
        inputs: Iterable[str],
        outputs: Iterable[str],
        domain: str = "",
        **attributes: Attribute,
    ) -> None:
        """Append an operator; an empty name leaves an optional input or output out."""
        self.nodes.append(
            b"".join(_text(1, name) for name in inputs)
            + b"".join(_text(2, name) for name in outputs)
            + _text(4, operator)
            + b"".join(_attribute(name, value) for name, value in attributes.items())
            + _text(7, domain)
        )

    def model(self) -> bytes:
        """Return the whole model, serialized."""
        graph = b"".join(
            (
                *(_nested(1, node) for node in self.nodes),
                _text(2, "model"),
                *(_nested(5, tensor) for tensor in self.initializers),
                *(_nested(11, value) for value in self.inputs),
                *(_nested(12, value) for value in self.outputs),
            )
        )
        domains = _nested(8, _text(1, "") + _number(2, _OPSET))
        domains += _nested(8, _text(1, FUSED) + _number(2, 1))
        return _number(1, _IR_VERSION) + _text(2, "freehold") + _nested(7, graph) + domains


def _value(name: str, kind: ElementType, shape: Sequence[str]) -> bytes:
    dimensions = b"".join(_nested(1, _text(2, dimension)) for dimension in shape)
    tensor = _number(1, _ELEMENT[kind]) + _nested(2, dimensions)
    return _text(1, name) + _nested(2, _nested(1, tensor))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        content = _key(2, _FIXED32) + struct.pack("<f", value) + _number(20, _FLOAT_ATTRIBUTE)
    else:
        content = _number(3, value) + _number(20, _INT_ATTRIBUTE)
    return _nested(5, _text(1, name) + content)


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _text(number: int, value: str) -> bytes:
    return _nested(number, value.encode())


def _nested(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Write seven bits per byte, the lowest first; the high bit says that more follow."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
