"""What may be moderated, in OpenAI's words where it may not."""

from collections.abc import Sequence

from freehold.core import messages
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.engines.registry import Model
from freehold.resources.moderations.inputs import Item
from freehold.wire.moderations import ModerationCreateParams


def check(body: ModerationCreateParams, items: Sequence[Item], model: Model) -> None:
    """Raise ``BadRequestError`` for what the request alone shows to be wrong."""
    if not isinstance(body.input, str):
        most = limits.figure("moderation", "inputs")
        if not body.input:
            raise messages.too_short("input", "array", 0, 1)
        if len(body.input) > most:
            raise messages.too_long("input", "array", len(body.input), most)
    parts = [part for item in items for part in item.parts]
    if parts and "image" not in model.row.input:
        raise BadRequestError(
            f"The model `{model.id}` moderates text only. Use omni-moderation-latest for images.",
            param=parts[0].param,
            code="invalid_value",
        )
    images = limits.figure("moderation", "images")
    if len(parts) > images:
        raise BadRequestError(
            f"Too many images: {len(parts)}. A request may hold at most {images} of them.",
            param=parts[images].param,
            code="too_many_images",
        )


def largest(model: Model) -> int:
    """Return how many tokens one input may have."""
    return model.row.context_window or limits.figure("moderation", "input_tokens")


def countable(texts: Sequence[str], model: Model) -> list[str]:
    """Return texts that are short enough for counting their tokens not to keep others waiting.

    No tokenizer brings a longer one below the limit, so it is cut or refused as in ``fitting``.
    """
    longest = largest(model) * limits.figure("moderation", "bytes_per_token")
    sizes = [len(text.encode()) for text in texts]
    if max(sizes, default=0) > longest and _refuses(model):
        raise _too_long(-(-max(sizes) // limits.figure("moderation", "bytes_per_token")), model)
    return [text[:longest] for text in texts]


def is_safe(texts: Sequence[str], model: Model) -> bool:
    """Return whether tokens need not be counted: a text has at most one per byte."""
    sizes = [len(text.encode()) for text in texts]
    together = limits.figure("moderation", "request_tokens")
    return max(sizes, default=0) <= largest(model) and sum(sizes) <= together


def fitting(texts: Sequence[str], counts: Sequence[int], model: Model) -> list[str]:
    """Return the texts as far as they are read.

    The models of text only read the beginning of a text that is longer than their limit, as
    documented; the newer ones refuse it. Raises ``BadRequestError``.
    """
    most = largest(model)
    if max(counts) > most and _refuses(model):
        raise _too_long(max(counts), model)
    if sum(counts) > limits.figure("moderation", "request_tokens"):
        raise _too_many(sum(counts))
    return [
        text if count <= most else text[: len(text) * most // count]
        for text, count in zip(texts, counts, strict=True)
    ]


def _refuses(model: Model) -> bool:
    """Return whether a model refuses what is too long for it."""
    return "image" in model.row.input


def _too_long(tokens: int, model: Model) -> BadRequestError:
    return BadRequestError(
        f"This model's maximum context length is {largest(model)} tokens, however you requested "
        f"{tokens} tokens. Please reduce the length of your input.",
        param="input",
        code="context_length_exceeded",
    )


def _too_many(tokens: int) -> BadRequestError:
    together = limits.figure("moderation", "request_tokens")
    return BadRequestError(
        f"Requested {tokens} tokens, max {together} tokens per request",
        param="input",
        error_type="max_tokens_per_request",
        code="max_tokens_per_request",
    )
