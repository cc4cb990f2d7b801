"""Threads: what the operations on them take and answer."""

from typing import Any, Literal

from freehold.wire.assistants import ToolResources, ToolResourcesParam
from freehold.wire.messages import MessageCreateParams
from freehold.wire.shared import Answer, Params


class ThreadCreateParams(Params):
    """The body of ``createThread``."""

    messages: list[MessageCreateParams] | None = None
    tool_resources: ToolResourcesParam | None = None
    metadata: dict[str, str] | None = None


class ThreadUpdateParams(Params):
    """The body of ``modifyThread``: what is left out stays, null is what it is by default."""

    tool_resources: ToolResources | None = None
    metadata: dict[str, str] | None = None


class Thread(Answer):
    """A thread; the resources of its tools are shown as they stand."""

    id: str
    object: Literal["thread"]
    created_at: int
    tool_resources: dict[str, Any] | None
    metadata: dict[str, str] | None


class ThreadDeleted(Answer):
    id: str
    object: Literal["thread.deleted"]
    deleted: bool
