"""Legacy completions over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.api.sse import EventStream
from freehold.resources.completions import service
from freehold.wire.completions import CompletionCreateParams


@operation("createCompletion")
async def create(context: Context, body: CompletionCreateParams) -> dict[str, Any] | EventStream:
    return await service.create(context, body)
