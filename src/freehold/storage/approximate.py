"""Approximate search of large stores, where the extra ``usearch`` is installed: a graph in memory.

It is grown beside the exact vectors, in the background; until it has caught up with what was added
or taken away, searches are exact.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CONNECTIVITY: Final = 24
_EFFORT_TO_ADD: Final = 128
_EFFORT_TO_SEARCH: Final = 192
_AT_ONCE: Final = 500


@cache
def is_installed() -> bool:
    """Return whether graphs can be made."""
    return importlib.util.find_spec("usearch") is not None


class Graph:
    """Vectors of unit length by number, in half precision, linked with their neighbours."""

    def __init__(self, dimensions: int) -> None:
        usearch: Any = importlib.import_module("usearch.index")
        self._index: Any = usearch.Index(
            ndim=dimensions,
            metric="ip",
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EFFORT_TO_ADD,
            expansion_search=_EFFORT_TO_SEARCH,
        )
        self._numbers: set[int] = set()

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return int(self._index.memory_usage)

    def grow(self, numbers: "NDArray[np.int64]", vectors: "NDArray[np.float32]") -> Iterator[None]:
        """Become a graph of exactly these vectors, a part with each step."""
        import numpy as np  # noqa: PLC0415 - loaded when something is searched

        wanted = set(numbers.tolist())
        gone = np.array(sorted(self._numbers - wanted), np.uint64)
        new = np.flatnonzero(~np.isin(numbers, list(self._numbers)))
        for start in range(0, len(gone), _AT_ONCE):
            self._index.remove(gone[start : start + _AT_ONCE])
            yield
        for start in range(0, len(new), _AT_ONCE):
            part = new[start : start + _AT_ONCE]
            self._index.add(numbers[part].astype(np.uint64), vectors[part], threads=1)
            yield
        self._numbers = wanted

    def search(self, questions: "NDArray[np.float32]", limit: int) -> list[list[tuple[int, float]]]:
        """Return for each question the numbers of the nearest and their cosines."""
        found: list[list[tuple[int, float]]] = []
        for question in questions:
            matches = self._index.search(question, limit, threads=1)
            nearness = (1.0 - matches.distances).tolist()
            found.append(list(zip(matches.keys.tolist(), nearness, strict=True)))
        return found
