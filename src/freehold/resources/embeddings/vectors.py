"""Vectors in the size and the form that were asked for."""

import base64
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:  # an engine that embeds has loaded numpy; the start of the server has not
    import numpy as np
    from numpy.typing import NDArray

_SMALLEST_LENGTH = 1e-12
_FLOAT_BYTES = 4


def resized(vectors: "NDArray[np.float32]", dimensions: int) -> "NDArray[np.float32]":
    """Return the first ``dimensions`` numbers of each vector, of unit length again."""
    if dimensions >= vectors.shape[1]:
        return vectors
    cut = vectors[:, :dimensions]
    lengths = (cut * cut).sum(axis=1, keepdims=True) ** 0.5
    return cut / lengths.clip(min=_SMALLEST_LENGTH)


def embeddings(
    vectors: "NDArray[np.float32]", dimensions: int, *, as_base64: bool
) -> list[dict[str, Any]]:
    """Return the ``data`` of the answer.

    Zeros fill a vector up to its size, which leaves every cosine as it was. Both forms hold the
    same numbers: the decimal ones are exact, not rounded to what tells two float32 apart.
    """
    rows = resized(vectors, dimensions)
    missing = dimensions - rows.shape[1]
    if as_base64:
        padding = bytes(missing * _FLOAT_BYTES)
        plain = rows.astype("<f4")
        encoded: list[Any] = [base64.b64encode(row.tobytes() + padding).decode() for row in plain]
    else:
        padding = b",0.0" * missing
        encoded = [_numbers(row, padding) for row in rows.astype("f8")]
    return [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(encoded)
    ]


def _numbers(row: "NDArray[np.float64]", padding: bytes) -> orjson.Fragment:
    """Return an array of numbers that is written already."""
    written = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
    return orjson.Fragment(written[:-1] + padding + b"]")
