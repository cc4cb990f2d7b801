"""Stored chat completions: what was asked with ``store: true`` and answered, while it is kept."""

from typing import Any, cast

from sqlalchemy import Connection, Row

from freehold.api.context import Context
from freehold.core import clock
from freehold.core.errors import NotFoundError
from freehold.core.page import page
from freehold.data.retention import retention
from freehold.resources.chat import store
from freehold.wire.stored import (
    ChatCompletionDeleted,
    CompletionListParams,
    CompletionUpdateParams,
    MessageListParams,
)

_SHOWN_PARTS = ("text", "image_url")


async def list_(context: Context, query: CompletionListParams) -> dict[str, Any]:
    """Return a page of the project's completions, oldest first unless asked otherwise."""
    owner, models = _owner(context), _models(context, query.model)

    def read(connection: Connection) -> list[Row[Any]]:
        after = None
        if query.after is not None:
            after = _found(store.find(connection, owner, query.after), query.after, "after").seq
        return store.page(
            connection,
            owner,
            models=models,
            metadata=query.metadata or {},
            after=after,
            order=query.order,
            limit=query.limit + 1,
        )

    rows = await context.services.database.read(read)
    return page([_completion(row) for row in rows], query.limit)


async def retrieve(context: Context, completion_id: str) -> dict[str, Any]:
    """Return the answer as it was given, with its metadata. Raises ``NotFoundError``."""
    return _completion(await _find(context, completion_id))


async def update(
    context: Context, completion_id: str, body: CompletionUpdateParams
) -> dict[str, Any]:
    """Replace the metadata. Raises ``NotFoundError``."""
    owner, metadata = _owner(context), body.metadata or {}
    row = await context.services.database.write(
        lambda connection: store.set_metadata(connection, owner, completion_id, metadata)
    )
    return _completion(_found(row, completion_id))


async def delete(context: Context, completion_id: str) -> ChatCompletionDeleted:
    """Delete the completion and its messages. Raises ``NotFoundError``."""
    owner = _owner(context)
    removed = await context.services.database.write(
        lambda connection: store.remove(connection, owner, completion_id)
    )
    if not removed:
        raise _missing(completion_id)
    return ChatCompletionDeleted(id=completion_id, deleted=True, object="chat.completion.deleted")


async def messages(
    context: Context, completion_id: str, query: MessageListParams
) -> dict[str, Any]:
    """Return a page of the messages that were sent. Raises ``NotFoundError``."""
    row = await _find(context, completion_id)
    sent = [_message(row.id, *numbered) for numbered in enumerate(row.request["messages"])]
    if query.order == "desc":
        sent.reverse()
    begin = 0
    if query.after is not None:
        places = [place for place, one in enumerate(sent) if one["id"] == query.after]
        if not places:
            raise _missing(query.after, "after", "Message")
        begin = places[0] + 1
    return page(sent[begin : begin + query.limit + 1], query.limit)


def _owner(context: Context) -> store.Owner:
    return store.Owner(context.project_id, clock.now() - retention("chat_completion").seconds)


def _models(context: Context, model: str | None) -> tuple[str, ...]:
    """Return the ids that answers of a model carry: an alias stands for its snapshot."""
    if model is None:
        return ()
    try:
        return (model, context.services.registry.find(model).snapshot)
    except NotFoundError:
        return (model,)  # of a model that has been removed since


async def _find(context: Context, completion_id: str) -> Row[Any]:
    owner = _owner(context)
    row = await context.services.database.read(
        lambda connection: store.find(connection, owner, completion_id)
    )
    return _found(row, completion_id)


def _found(row: Row[Any] | None, completion_id: str, param: str | None = None) -> Row[Any]:
    if row is None:
        raise _missing(completion_id, param)
    return row


def _missing(
    object_id: str, param: str | None = None, kind: str = "Chat completion"
) -> NotFoundError:
    return NotFoundError(f"{kind} with id '{object_id}' not found.", param=param)


def _completion(row: Row[Any]) -> dict[str, Any]:
    return {**row.response, "metadata": row.metadata}


def _message(completion_id: str, place: int, sent: dict[str, Any]) -> dict[str, Any]:
    """Return a message with its text in ``content``; parts are shown beside it."""
    content = sent.get("content")
    message = {
        "id": f"{completion_id}-{place}",
        "refusal": None,
        "content_parts": None,
        **{name: value for name, value in sent.items() if value is not None},
        "content": content,
    }
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        message["content"] = _said(parts, "text")
        message["refusal"] = message["refusal"] or _said(parts, "refusal")
        message["content_parts"] = [part for part in parts if part["type"] in _SHOWN_PARTS]
    return message


def _said(parts: list[dict[str, Any]], kind: str) -> str | None:
    said = [part[kind] for part in parts if part["type"] == kind]
    return "".join(said) if said else None
