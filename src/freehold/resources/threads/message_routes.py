"""Messages over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.threads import messages
from freehold.wire.messages import (
    Message,
    MessageCreateParams,
    MessageDeleted,
    MessageListParams,
    MessageUpdateParams,
)


@operation("createMessage")
async def create(context: Context, thread_id: str, body: MessageCreateParams) -> Message:
    return await messages.create(context, thread_id, body)


@operation("listMessages")
async def list_(context: Context, thread_id: str, query: MessageListParams) -> dict[str, Any]:
    return await messages.list_(context, thread_id, query)


@operation("getMessage")
async def retrieve(context: Context, thread_id: str, message_id: str) -> Message:
    return await messages.retrieve(context, thread_id, message_id)


@operation("modifyMessage")
async def update(
    context: Context, thread_id: str, message_id: str, body: MessageUpdateParams
) -> Message:
    return await messages.update(context, thread_id, message_id, body)


@operation("deleteMessage")
async def delete(context: Context, thread_id: str, message_id: str) -> MessageDeleted:
    return await messages.delete(context, thread_id, message_id)
