"""What the model of a run is shown: instructions, the thread, and what the run did so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from freehold.core.errors import BadRequestError
from freehold.engines.base import TextEngine
from freehold.engines.registry import Model
from freehold.resources.chat.prepare import Prepared, prepare
from freehold.resources.threads.citation import without_marks
from freehold.resources.threads.tool_offer import Offer
from freehold.wire.chat import CompletionCreateParams

Row = Mapping[str, Any]
Turn = dict[str, Any]  # a message of a chat, as a request has it
# As the built-in model was taught to read.
_PASSAGES = "Answer from the text below.\n\n{passages}\n\nQuestion: {question}"
_TURN = 16  # more tokens than a template adds to a turn


class PromptBudgetError(Exception):
    """What is left of ``max_prompt_tokens`` does not hold even the last message."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns before a run, the oldest first, and those of its own, which are never left out."""

    before: Sequence[Turn]
    own: Sequence[Turn]


@dataclass(frozen=True, slots=True)
class Wish:
    """How the next turn is to be made.

    ``forced``: the run's ``tool_choice`` is still due. ``passages`` are shown with the question.
    """

    offer: Offer
    forced: bool
    may_call: bool
    stream: bool
    passages: str = ""


def conversation(
    run: Row, messages: Sequence[Row], steps: Sequence[Row], pictures: Mapping[str, str]
) -> Conversation:
    """Return the thread as turns; ``pictures`` holds a data URL for each picture's file."""
    earlier = [message for message in messages if message["run_id"] != run["id"]]
    strategy = run["truncation_strategy"]
    if strategy["type"] == "last_messages":
        earlier = earlier[-(strategy.get("last_messages") or 1) :]
    written = {message["id"]: message for message in messages}
    own = [turn for step in steps for turn in _of_step(step, written)]
    return Conversation([_of_message(message, pictures) for message in earlier], own)


def picture_files(messages: Sequence[Row]) -> set[str]:
    """Return the files of the pictures that users have shown."""
    return {
        part["image_file"]["file_id"]
        for message in messages
        if message["role"] == "user"
        for part in message["content"]
        if part["type"] == "image_file"
    }


async def fitted(
    run: Row, model: Model, engine: TextEngine, talk: Conversation, wish: Wish
) -> Prepared:
    """Return the next generation, without the messages in the middle that have no room.

    Raises ``PromptBudgetError``, and ``BadRequestError`` for what the model can't be asked.
    """

    def prepared(left_out: int) -> Prepared:
        return prepare(_body(run, model, [*_kept(talk.before, left_out), *talk.own], wish), model)

    whole = prepared(0)
    room = _room(run, model, engine)
    if _bound(whole) <= room or await _fits(whole, engine, room):
        return whole
    fewest, most = 1, max(0, len(talk.before) - 1)
    if not most or not await _fits(prepared(most), engine, room):
        if run["max_prompt_tokens"] is not None:
            raise PromptBudgetError
        return prepared(most)  # the engine says why it does not fit
    while fewest < most:
        middle = (fewest + most) // 2
        if await _fits(prepared(middle), engine, room):
            most = middle
        else:
            fewest = middle + 1
    return prepared(most)


def _kept(turns: Sequence[Turn], left_out: int) -> list[Turn]:
    """Leave out turns behind the first one, then the first too, never the last."""
    if left_out >= len(turns) - 1:
        return list(turns[left_out:])
    return [*turns[:1], *turns[1 + left_out :]]


def _room(run: Row, model: Model, engine: TextEngine) -> int:
    """Return how many tokens the prompt may have, with some left for the answer."""
    window = min(engine.window, model.row.context_window or engine.window)
    answer = min(window // 4, run["max_completion_tokens"] or window)
    room = window - answer
    if run["max_prompt_tokens"] is not None:
        room = min(room, run["max_prompt_tokens"] - run["prompt_tokens"])
    return room


def _bound(prepared: Prepared) -> int:
    """Return more tokens than the prompt can have, without counting them."""
    if prepared.pictures or prepared.chat.tools:
        return 1 << 62
    turns = prepared.chat.messages
    return sum(len(turn.content.encode(errors="replace")) + _TURN for turn in turns)


async def _fits(prepared: Prepared, engine: TextEngine, room: int) -> bool:
    chat = prepared.pictures.words if prepared.pictures else prepared.chat
    try:
        return await engine.count_tokens(chat) <= room
    except BadRequestError:  # an upstream without a tokenizer: about four letters are a token
        return prepared.estimate() <= room


def _body(run: Row, model: Model, turns: Sequence[Turn], wish: Wish) -> CompletionCreateParams:
    told: str = run["instructions"]
    system = [{"role": "system", "content": told}] if told else []
    given: dict[str, Any] = {
        "model": run["model"],
        "messages": [*system, *_with_passages(turns, wish.passages)],
        "stream": wish.stream or None,
        "max_completion_tokens": _most(run, model),
        **(run["sampling"] or {}),
    }
    if isinstance(run["response_format"], dict):
        given["response_format"] = run["response_format"]
    if wish.offer.tools and wish.may_call:
        given |= _tools(run, wish)
    return CompletionCreateParams.model_validate(given)


def question(messages: Sequence[Row]) -> str:
    """Return what the user said last."""
    asked = next((m for m in reversed(messages) if m["role"] == "user"), None)
    parts = asked["content"] if asked else ()
    return "\n\n".join(part["text"]["value"] for part in parts if part["type"] == "text")


def _with_passages(turns: Sequence[Turn], passages: str) -> list[Turn]:
    """Put passages before the user's last question, where a weak model looks for them."""
    shown = list(turns)
    places = [place for place, turn in enumerate(shown) if turn["role"] == "user"]
    if passages and places:
        asked = shown[places[-1]]
        if isinstance(asked["content"], str):
            content = _PASSAGES.format(passages=passages, question=asked["content"])
            shown[places[-1]] = {**asked, "content": content}
    return shown


def _most(run: Row, model: Model) -> int | None:
    most = run["max_completion_tokens"]
    if most is None:
        return None
    left = max(1, most - run["completion_tokens"])
    return min(left, model.row.max_output_tokens or left)


def _tools(run: Row, wish: Wish) -> dict[str, Any]:
    given: dict[str, Any] = {"tools": list(wish.offer.tools)}
    if not run["parallel_tool_calls"]:
        given["parallel_tool_calls"] = False
    choice: str | dict[str, Any] = run["tool_choice"]
    if choice == "none":
        given["tool_choice"] = "none"
    elif wish.forced and not isinstance(choice, str):
        kind: str = choice["type"]
        name = choice["function"]["name"] if kind == "function" else wish.offer.name(kind)
        given["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif wish.forced and choice == "required":
        given["tool_choice"] = "required"
    return given


def _of_step(step: Row, written: Mapping[str, Row]) -> list[Turn]:
    details = step["details"]
    if details["type"] == "message_creation":
        message = written.get(details["message_creation"]["message_id"])
        return [] if message is None else [_of_message(message, {})]
    made = [call for call in step["calls"] or () if call.get("by") is None]
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in made
    ]
    outputs = [
        {"role": "tool", "tool_call_id": call["id"], "content": call["output"] or ""}
        for call in made
    ]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *outputs] if calls else []


def _of_message(message: Row, pictures: Mapping[str, str]) -> Turn:
    if message["role"] == "assistant":
        said = [part["text"]["value"] for part in message["content"] if part["type"] == "text"]
        return {"role": "assistant", "content": without_marks("\n\n".join(said))}
    parts = [_part(part, pictures) for part in message["content"]]
    if all(part["type"] == "text" for part in parts):
        return {"role": "user", "content": "\n\n".join(part["text"] for part in parts)}
    return {"role": "user", "content": parts}


def _part(part: Row, pictures: Mapping[str, str]) -> Turn:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]["value"]}
    if part["type"] == "image_url":
        return {"type": "image_url", "image_url": dict(part["image_url"])}
    url = pictures.get(part["image_file"]["file_id"])
    if url is None:
        return {"type": "text", "text": "[a picture that has been deleted]"}
    image = {"url": url, "detail": part["image_file"].get("detail") or "auto"}
    return {"type": "image_url", "image_url": image}
