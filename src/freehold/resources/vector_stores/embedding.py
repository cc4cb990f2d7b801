"""Texts as vectors, by the embedding model of their store."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from freehold.api.context import Services

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE: Final = 16


async def of_texts(
    services: Services, model: str, texts: Sequence[str], between: Callable[[], None]
) -> list[bytes]:
    """Return a vector of each text as float32; ``between`` is called before each group of texts."""
    found: list[bytes] = []
    for start in range(0, len(texts), _AT_ONCE):
        between()
        vectors = await of_questions(services, model, texts[start : start + _AT_ONCE])
        found += [vector.tobytes() for vector in vectors]
    return found


async def of_questions(
    services: Services, model: str, texts: Sequence[str]
) -> "NDArray[np.float32]":
    """Return a row of unit length for each text. Raises ``APIError`` where the engine can't."""
    async with services.registry.find(model).embedding.admit() as engine:
        return (await engine.embed(texts)).vectors
