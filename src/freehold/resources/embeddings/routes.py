"""Embeddings over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.embeddings import service
from freehold.wire.embeddings import EmbeddingCreateParams


@operation("createEmbedding")
async def create(context: Context, body: EmbeddingCreateParams) -> dict[str, Any]:
    return await service.create(context, body)
