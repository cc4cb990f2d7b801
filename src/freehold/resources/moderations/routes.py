"""Moderations over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.moderations import service
from freehold.wire.moderations import ModerationCreateParams


@operation("createModeration")
async def create(context: Context, body: ModerationCreateParams) -> dict[str, Any]:
    return await service.create(context, body)
