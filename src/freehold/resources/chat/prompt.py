"""From the API's messages and tools to what an engine understands."""

from collections.abc import Sequence
from typing import Any

from freehold.core.errors import BadRequestError
from freehold.engines.base import IMAGE, Message, Tool, ToolCall
from freehold.wire.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionFunctionMessageParam,
    ChatCompletionMessageParam,
    ChatCompletionToolMessageParam,
    CompletionCreateParams,
)

# Calls of the deprecated ``function_call`` have no id; one per place keeps them apart.
_FUNCTION_CALL_ID = "call_function_{}"


def messages(body: CompletionCreateParams) -> tuple[Message, ...]:
    """Return the conversation, or raise where its turns don't fit together."""
    _check_order(body.messages)
    return tuple(_message(message, place) for place, message in enumerate(body.messages))


def tools(body: CompletionCreateParams) -> tuple[Tool, ...]:
    """Return what the model may call; the deprecated ``functions`` are tools too."""
    if body.functions is not None:
        return tuple(Tool(f.name, f.description, f.parameters) for f in body.functions)
    return tuple(
        Tool(
            tool.function.name,
            tool.function.description,
            tool.function.parameters,
            strict=bool(tool.function.strict),
        )
        for tool in body.tools or ()
    )


def text(content: str | Sequence[Any] | None, param: str) -> str:
    """Return the text of a content: its parts are joined, a picture is one ``IMAGE`` in it."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    pieces = [_part(part, f"{param}[{place}]") for place, part in enumerate(content)]
    pictures = [part.type == "image_url" for part in content]
    if any(pictures):
        # What stands for a picture must not come from the caller's own words too.
        words = (piece.replace(IMAGE, "\ufffd") for piece in pieces)
        pieces = [IMAGE if shown else said for shown, said in zip(pictures, words, strict=True)]
    return "".join(pieces)


def _part(part: Any, param: str) -> str:
    if part.type == "text":
        return part.text
    if part.type == "refusal":
        return part.refusal
    if part.type == "image_url":
        return IMAGE
    raise BadRequestError(
        f"Invalid content type: '{part.type}' parts can't be read by this server yet; "
        "only 'text' and 'image_url' parts are supported.",
        param=f"{param}.type",
        code="unsupported_content_part",
    )


def _message(message: ChatCompletionMessageParam, place: int) -> Message:
    where = f"messages[{place}]"
    content = text(message.content, f"{where}.content")
    if isinstance(message, ChatCompletionToolMessageParam):
        return Message("tool", content, tool_call_id=message.tool_call_id)
    if isinstance(message, ChatCompletionFunctionMessageParam):
        call_id = _FUNCTION_CALL_ID.format(place - 1)
        return Message("tool", content, name=message.name, tool_call_id=call_id)
    if isinstance(message, ChatCompletionAssistantMessageParam):
        return _assistant(message, content, place)
    role = "user" if message.role == "user" else "system"
    return Message(role, content, name=message.name)


def _assistant(message: ChatCompletionAssistantMessageParam, content: str, place: int) -> Message:
    if message.audio is not None:
        raise BadRequestError(
            "Audio of earlier answers is not supported by this server yet.",
            param=f"messages[{place}].audio",
            code="unsupported_parameter",
        )
    calls = tuple(
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
    )
    if message.function_call is not None:
        called = message.function_call
        calls = (ToolCall(_FUNCTION_CALL_ID.format(place), called.name, called.arguments),)
    said = content or message.refusal or ""
    if not said and not calls and message.content is None:
        raise BadRequestError(
            f"Invalid value for 'messages[{place}].content': expected a string, got null.",
            param=f"messages[{place}].content",
            code="invalid_type",
        )
    return Message("assistant", said, name=message.name, tool_calls=calls)


def _check_order(turns: Sequence[ChatCompletionMessageParam]) -> None:
    """Every call is answered by tool messages right behind it, and nothing else is."""
    waiting: dict[str, None] = {}
    for place, turn in enumerate(turns):
        if isinstance(turn, ChatCompletionToolMessageParam):
            _check_answer(turn, place, waiting)
            continue
        _refuse_unanswered(waiting, place)
        waiting = {}
        if isinstance(turn, ChatCompletionAssistantMessageParam):
            waiting = {call.id: None for call in turn.tool_calls or ()}
    _refuse_unanswered(waiting, len(turns))


def _check_answer(
    turn: ChatCompletionToolMessageParam, place: int, waiting: dict[str, None]
) -> None:
    if turn.tool_call_id in waiting:
        del waiting[turn.tool_call_id]
        return
    raise BadRequestError(
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
        f"with 'tool_calls': no call waits for '{turn.tool_call_id}'.",
        param=f"messages[{place}].tool_call_id",
    )


def _refuse_unanswered(waiting: dict[str, None], place: int) -> None:
    if waiting:
        raise BadRequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(waiting),
            param=f"messages[{place - 1}]",
        )
