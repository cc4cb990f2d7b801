"""Chat completions over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.api.sse import EventStream
from freehold.resources.chat import service, stored
from freehold.wire.chat import CompletionCreateParams
from freehold.wire.stored import (
    ChatCompletionDeleted,
    CompletionListParams,
    CompletionUpdateParams,
    MessageListParams,
)


@operation("createChatCompletion")
async def create(context: Context, body: CompletionCreateParams) -> dict[str, Any] | EventStream:
    return await service.create(context, body)


@operation("listChatCompletions")
async def list_(context: Context, query: CompletionListParams) -> dict[str, Any]:
    return await stored.list_(context, query)


@operation("getChatCompletion")
async def retrieve(context: Context, completion_id: str) -> dict[str, Any]:
    return await stored.retrieve(context, completion_id)


@operation("updateChatCompletion")
async def update(
    context: Context, completion_id: str, body: CompletionUpdateParams
) -> dict[str, Any]:
    return await stored.update(context, completion_id, body)


@operation("deleteChatCompletion")
async def delete(context: Context, completion_id: str) -> ChatCompletionDeleted:
    return await stored.delete(context, completion_id)


@operation("getChatCompletionMessages")
async def messages(
    context: Context, completion_id: str, query: MessageListParams
) -> dict[str, Any]:
    return await stored.messages(context, completion_id, query)
