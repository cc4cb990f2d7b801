"""Stored chat completions: what the operations on them take and answer."""

from typing import Literal

from freehold.wire.shared import Answer, ListQuery, Params


class CompletionListParams(ListQuery):
    """The query of ``listChatCompletions``."""

    model: str | None = None
    metadata: dict[str, str] | None = None


class MessageListParams(ListQuery):
    """The query of ``getChatCompletionMessages``."""


class CompletionUpdateParams(Params):
    """The body of ``updateChatCompletion``."""

    metadata: dict[str, str] | None


class ChatCompletionDeleted(Answer):
    id: str
    deleted: bool
    object: Literal["chat.completion.deleted"]
