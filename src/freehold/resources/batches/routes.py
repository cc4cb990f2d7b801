"""Batches over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.batches import service
from freehold.wire.batches import Batch, BatchCreateParams, BatchListParams


@operation("createBatch")
async def create(context: Context, body: BatchCreateParams) -> Batch:
    return await service.create(context, body)


@operation("listBatches")
async def list_(context: Context, query: BatchListParams) -> dict[str, Any]:
    return await service.list_(context, query)


@operation("retrieveBatch")
async def retrieve(context: Context, batch_id: str) -> Batch:
    return await service.retrieve(context, batch_id)


@operation("cancelBatch")
async def cancel(context: Context, batch_id: str) -> Batch:
    return await service.cancel(context, batch_id)
