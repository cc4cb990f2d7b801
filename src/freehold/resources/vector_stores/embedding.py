"""Texts as vectors, by the embedding model of their store."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from freehold.api.context import Services
from freehold.core.errors import InternalServerError, NotFoundError
from freehold.storage.vectors import OtherLengthError

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
    try:
        found = services.registry.find(model)
    except NotFoundError:  # it is the operator's to mend, and no fault of who asks
        raise _not_bound(model) from None
    async with found.embedding.admit() as engine:
        return (await engine.embed(texts)).vectors


def changed(model: str, store_id: str, error: OtherLengthError) -> InternalServerError:
    """Return what to say where a model makes other vectors than those that a store holds."""
    return InternalServerError(
        f"Vector store {store_id} can't be searched: vectors of its files have {error.found} "
        f"numbers, those of `{model}` now have {error.wanted}. Bind the embedding model again that "
        "indexed them, or take the files out of the store and add them again.",
        code="embedding_model_changed",
        retryable=False,
    )


def _not_bound(model: str) -> InternalServerError:
    return InternalServerError(
        f"The embedding model `{model}` of this vector store is not bound any more: bind it in "
        f'freehold.toml ([models."{model}"]).',
        code="embedding_model_changed",
        retryable=False,
    )
