"""Embeddings: what ``/embeddings`` takes and answers."""

from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Tag

from freehold.wire.shared import Answer, Params

_EXPECTED = "a string, an array of strings, an array of integers, or an array of arrays"
_BRANCHES: dict[type, str] = {str: "<strings>", int: "<tokens>", list: "<token_arrays>"}


def _branch(value: Any) -> str:
    """Choose by the first item, so that a wrong one later is told by its place."""
    if isinstance(value, str):
        return "<string>"
    if not isinstance(value, list):
        return "<other>"
    items = cast("list[Any]", value)
    kind = cast("type[Any]", type(items[0])) if items else str
    return _BRANCHES.get(kind, "<strings>")


Input = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[list[str], Tag("<strings>")]
    | Annotated[list[int], Tag("<tokens>")]
    | Annotated[list[list[int]], Tag("<token_arrays>")],
    Discriminator(_branch, custom_error_type="wrong_kind", custom_error_message=_EXPECTED),
]


class EmbeddingCreateParams(Params):
    input: Input
    model: str
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class Embedding(Answer):
    """One vector: an array of numbers, or its float32 values, little end first, as base64."""

    embedding: list[float] | str
    index: int
    object: Literal["embedding"]


class Usage(Answer):
    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(Answer):
    data: list[Embedding]
    model: str
    object: Literal["list"]
    usage: Usage
