"""Assistants over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.assistants import service
from freehold.wire.assistants import (
    Assistant,
    AssistantCreateParams,
    AssistantDeleted,
    AssistantListParams,
    AssistantUpdateParams,
)


@operation("createAssistant")
async def create(context: Context, body: AssistantCreateParams) -> Assistant:
    return await service.create(context, body)


@operation("listAssistants")
async def list_(context: Context, query: AssistantListParams) -> dict[str, Any]:
    return await service.list_(context, query)


@operation("getAssistant")
async def retrieve(context: Context, assistant_id: str) -> Assistant:
    return await service.retrieve(context, assistant_id)


@operation("modifyAssistant")
async def update(context: Context, assistant_id: str, body: AssistantUpdateParams) -> Assistant:
    return await service.update(context, assistant_id, body)


@operation("deleteAssistant")
async def delete(context: Context, assistant_id: str) -> AssistantDeleted:
    return await service.delete(context, assistant_id)
