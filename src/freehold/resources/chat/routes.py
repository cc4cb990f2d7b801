"""Chat completions over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.api.sse import EventStream
from freehold.resources.chat import service
from freehold.wire.chat import CompletionCreateParams


@operation("createChatCompletion")
async def create(context: Context, body: CompletionCreateParams) -> dict[str, Any] | EventStream:
    return await service.create(context, body)
