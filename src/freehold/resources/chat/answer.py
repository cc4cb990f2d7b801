"""The whole answer in the API's shape, and what it used."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from freehold.api.accounting import Counts
from freehold.core import clock
from freehold.core.errors import BadRequestError
from freehold.core.ids import new_id
from freehold.engines.base import TextEngine
from freehold.engines.fingerprint import fingerprint
from freehold.resources.chat import prompt
from freehold.resources.chat.choice import Call, Choice
from freehold.resources.chat.chunks import logprob_items
from freehold.resources.chat.prepare import Prepared


async def count(prepared: Prepared, choices: Sequence[Choice], engine: TextEngine) -> Counts:
    """Count honestly: the prompt once, every choice with all tokens that it took."""
    ended = next((choice.done for choice in choices if choice.done), None)
    prompt_tokens = ended.prompt_tokens if ended else await engine.count_tokens(prepared.chat)
    prompt_tokens = await _as_documented(prepared, prompt_tokens, engine)
    completion = sum(c.done.completion_tokens if c.done else c.tokens for c in choices)
    accepted, rejected = await _align(prepared, choices, engine)
    return Counts(
        prompt=prompt_tokens,
        completion=completion,
        cached=min(ended.cached_tokens, prompt_tokens) if ended else 0,
        accepted=accepted,
        rejected=rejected,
    )


async def _as_documented(prepared: Prepared, counted: int, engine: TextEngine) -> int:
    """Return the prompt's tokens as OpenAI counts them for its own models' pictures."""
    pictures = prepared.pictures
    if pictures is None or prepared.model.native_ids:
        return counted
    try:
        return await engine.count_tokens(pictures.words) + pictures.tokens
    except BadRequestError:  # an upstream without a tokenizer has counted pictures itself
        return counted


async def _align(
    prepared: Prepared, choices: Sequence[Choice], engine: TextEngine
) -> tuple[int, int]:
    """Return how many tokens of the prediction the answers hold in order, and how many not."""
    prediction = prepared.body.prediction
    if prediction is None:
        return 0, 0
    predicted = await _pieces(prompt.text(prediction.content, "prediction.content"), engine)
    accepted = rejected = 0
    for choice in choices:
        written = await _pieces(choice.text, engine)
        matcher = SequenceMatcher(None, predicted, written, autojunk=False)
        held = sum(block.size for block in matcher.get_matching_blocks())
        accepted += held
        rejected += len(predicted) - held
    return accepted, rejected


async def _pieces(text: str, engine: TextEngine) -> list[int] | list[str]:
    """Return the text's tokens; of an engine that does not tell them, its words."""
    try:
        return await engine.tokenize(text)
    except BadRequestError:
        return text.split()


def head(prepared: Prepared, kind: str) -> dict[str, Any]:
    """Return the fields that an answer and all chunks of a stream begin with."""
    start: dict[str, Any] = {
        "id": new_id("chat_completion"),
        "object": kind,
        "created": clock.now(),
        "model": prepared.model.snapshot,
    }
    if prepared.body.service_tier is not None:
        start["service_tier"] = "default"
    return start | {"system_fingerprint": fingerprint(prepared.model.spec)}


def whole(prepared: Prepared, choices: Sequence[Choice], start: dict[str, Any]) -> dict[str, Any]:
    """Return the ``chat.completion`` without its usage."""
    return start | {"choices": [_choice(prepared, choice) for choice in choices]}


def _choice(prepared: Prepared, choice: Choice) -> dict[str, Any]:
    logprobs = None
    if prepared.body.logprobs and choice.logprobs:
        logprobs = {"content": logprob_items(choice.logprobs), "refusal": None}
    return {
        "index": choice.index,
        "message": _message(prepared, choice),
        "logprobs": logprobs,
        "finish_reason": choice.finish_reason,
    }


def _message(prepared: Prepared, choice: Choice) -> dict[str, Any]:
    content = choice.text
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not choice.calls else None,
        "refusal": None,
    }
    if choice.calls and prepared.promise.style == "function":
        message["function_call"] = _function(choice.calls[0])
    elif choice.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _function(call)}
            for call in choice.calls
        ]
    return message


def _function(call: Call) -> dict[str, str]:
    return {"name": call.name, "arguments": call.arguments}
