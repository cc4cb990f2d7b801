"""What may be embedded, in OpenAI's words where it may not."""

from collections.abc import Sequence

from freehold.core import messages
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.engines.base import EmbeddingEngine, EmbeddingInput
from freehold.engines.registry import Model
from freehold.wire.embeddings import EmbeddingCreateParams

_REFERENCE = "https://platform.openai.com/docs/api-reference"


def check(body: EmbeddingCreateParams, model: Model) -> None:
    """Raise ``BadRequestError`` for what the request alone shows to be wrong."""
    if body.dimensions is not None and "dimensions" in model.row.unsupported:
        raise BadRequestError(
            "This model does not support specifying dimensions.", param="dimensions"
        )
    if not body.input:
        raise _invalid("it is empty")
    if isinstance(body.input, str) or isinstance(body.input[0], int):
        return
    most = limits.figure("embedding", "inputs")
    if len(body.input) > most:
        raise messages.too_long("input", "array", len(body.input), most)
    for index, value in enumerate(body.input):
        if not value:
            raise _invalid(f"input[{index}] is empty")


def dimensions(body: EmbeddingCreateParams, model: Model, engine: EmbeddingEngine) -> int:
    """Return how many numbers a vector shall have. Raises ``BadRequestError``."""
    most = model.row.dimensions or engine.dimensions
    if body.dimensions is None:
        return most
    if body.dimensions > most:
        raise BadRequestError(
            f"Invalid value for 'dimensions' = {body.dimensions}. "
            f"Must be less than or equal to {most}.",
            param="dimensions",
        )
    return body.dimensions


def largest(model: Model) -> int:
    """Return how many tokens one input may have."""
    return model.row.context_window or limits.figure("embedding", "input_tokens")


def check_sizes(inputs: Sequence[EmbeddingInput], model: Model) -> bool:
    """Return whether tokens need not be counted first, since none of the limits can be reached.

    A text has at most one token per byte. Raises ``BadRequestError`` for one so long that no
    tokenizer would bring it below its limit: counting it would keep others waiting.
    """
    sizes = [len(value.encode()) if isinstance(value, str) else len(value) for value in inputs]
    most, longest = largest(model), limits.figure("embedding", "bytes_per_token")
    for value, size in zip(inputs, sizes, strict=True):
        if isinstance(value, str) and size > most * longest:
            raise _too_long(-(-size // longest), most)
    return max(sizes) <= most and sum(sizes) <= limits.figure("embedding", "request_tokens")


def check_counts(counts: Sequence[int], model: Model) -> None:
    """Raise ``BadRequestError`` where an input, or all together, has too many tokens."""
    most, together = largest(model), limits.figure("embedding", "request_tokens")
    if max(counts) > most:
        raise _too_long(max(counts), most)
    if sum(counts) > together:
        raise BadRequestError(
            f"Requested {sum(counts)} tokens, max {together} tokens per request",
            param="input",
            error_type="max_tokens_per_request",
            code="max_tokens_per_request",
        )


def unknown_token(index: int, token: int) -> BadRequestError:
    return _invalid(f"input[{index}] holds {token}, which is no token ID of this model")


def _invalid(why: str) -> BadRequestError:
    return BadRequestError(
        f"'$.input' is invalid. Please check the API reference: {_REFERENCE}. ({why})",
        param="input",
    )


def _too_long(tokens: int, most: int) -> BadRequestError:
    return BadRequestError(
        f"This model's maximum context length is {most} tokens, however you requested {tokens} "
        f"tokens ({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or "
        "completion length.",
        param="input",
        code="context_length_exceeded",
    )
