"""Embeddings: the rules between a request and an engine."""

import asyncio
from collections.abc import Sequence
from typing import Any

from freehold.api.context import Context
from freehold.engines.base import Embedded
from freehold.resources.embeddings import rules, vectors
from freehold.resources.embeddings.inputs import Inputs, read
from freehold.wire.embeddings import EmbeddingCreateParams

# Writing more than these takes long enough that others should go on meanwhile.
_QUICKLY_WRITTEN = 32


async def create(context: Context, body: EmbeddingCreateParams) -> dict[str, Any]:
    """Embed texts or token arrays, in their order. Raises ``BadRequestError``."""
    registry = context.services.registry
    model = registry.find(body.model)
    registry.require(model, context.operation_id)
    rules.check(body, model)
    inputs = await read(body, model.vocabulary)
    if inputs.given is not None:
        rules.check_counts(inputs.given, model)
    safe = rules.check_sizes(inputs.values, model)
    engine = await model.embedding.ensure_loaded()
    dimensions = rules.dimensions(body, model, engine)
    if not safe and inputs.given is None:
        rules.check_counts(inputs.counts(await engine.count_tokens(inputs.values)), model)
    await context.take(model.snapshot, inputs.estimate())
    async with model.embedding.admit() as engine:
        embedded = await engine.embed(inputs.values)
    counts = inputs.counts(embedded.tokens)
    rules.check_counts(counts, model)
    _record(context, inputs, counts)
    return {
        "object": "list",
        "data": await _data(embedded, dimensions, as_base64=body.encoding_format == "base64"),
        "model": model.snapshot,
        "usage": {"prompt_tokens": sum(counts), "total_tokens": sum(counts)},
    }


def _record(context: Context, inputs: Inputs, counts: Sequence[int]) -> None:
    context.used(taken=inputs.estimate(), input_tokens=sum(counts), output_tokens=0, cached=0)


async def _data(embedded: Embedded, dimensions: int, *, as_base64: bool) -> list[dict[str, Any]]:
    if len(embedded.tokens) <= _QUICKLY_WRITTEN:
        return vectors.embeddings(embedded.vectors, dimensions, as_base64=as_base64)
    return await asyncio.to_thread(
        vectors.embeddings, embedded.vectors, dimensions, as_base64=as_base64
    )
