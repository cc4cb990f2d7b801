"""One answer in the making: from an engine's events to what the contract promises."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonschema import Draft202012Validator

from freehold.core.errors import InternalServerError
from freehold.core.ids import new_id
from freehold.engines.base import (
    Done,
    JSONSchema,
    TextDelta,
    TextEvent,
    TokenLogprob,
    ToolCallDelta,
)
from freehold.engines.stopping import StopFilter

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


@dataclass(slots=True)
class Call:
    """A call of a tool; ``arguments`` grows."""

    id: str
    name: str
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class CallPiece:
    """What a stream sends of a call: ``call`` with the first piece only."""

    index: int
    arguments: str
    call: Call | None = None


Piece = TextDelta | CallPiece


@dataclass(frozen=True, slots=True)
class Promise:
    """What the request asked of every answer.

    ``style``: how calls are written. ``named``: a certain tool was forced. ``required``: some call
    was forced. ``arguments``: schemas of strict tools by name. ``schema``: of the text.
    """

    stops: tuple[str, ...] = ()
    style: Literal["tools", "function"] = "tools"
    parallel: bool = True
    named: bool = False
    required: bool = False
    arguments: dict[str, JSONSchema] = field(default_factory=dict[str, JSONSchema])
    schema: JSONSchema | None = None


class Choice:
    """Collects one answer. ``complete`` is set once nothing more is wanted from the engine."""

    def __init__(self, index: int, promise: Promise) -> None:
        self.index = index
        self.complete = False
        self.done: Done | None = None
        self.calls: list[Call] = []
        self.tokens = 0
        self._promise = promise
        self._stop = StopFilter(promise.stops)
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    @property
    def text(self) -> str:
        """All text that was let through so far."""
        return "".join(self._text)

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        return self._logprobs

    def feed(self, events: Sequence[TextEvent]) -> list[Piece]:
        """Take events and return what may be sent now."""
        pieces: list[Piece] = []
        for event in events:
            if self.complete:
                break
            if isinstance(event, TextDelta):
                self.tokens += event.tokens
                pieces += self._keep(self._stop.feed(event))
                self.complete = self._stop.stopped
            elif isinstance(event, ToolCallDelta):
                pieces += self._call(event)
            else:
                self.done, self.complete = event, True
                pieces += self._keep(self._stop.finish())
        return pieces

    def _keep(self, ready: list[TextDelta]) -> list[TextDelta]:
        for delta in ready:
            self._text.append(delta.text)
            self._logprobs += delta.logprobs
        return [delta for delta in ready if delta.text or delta.logprobs]

    def _call(self, event: ToolCallDelta) -> list[Piece]:
        pieces: list[Piece] = [*self._keep(self._stop.finish())]
        if event.index >= len(self.calls):
            if self.calls and not (self._promise.parallel and self._promise.style == "tools"):
                self.complete = True  # one call was allowed
                return pieces
            call = Call(new_id("tool_call"), event.name or "", event.arguments)
            self.calls.append(call)
            return [*pieces, CallPiece(event.index, event.arguments, Call(call.id, call.name))]
        self.calls[event.index].arguments += event.arguments
        return [*pieces, CallPiece(event.index, event.arguments)]

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended. A forced, named call ends with ``stop``, as at OpenAI."""
        reason = self.done.reason if self.done else "stop"
        if reason in ("length", "content_filter"):
            return reason
        if not self.calls or self._promise.named:
            return "stop"
        return "function_call" if self._promise.style == "function" else "tool_calls"

    def check(self) -> None:
        """Raise ``InternalServerError`` if the answer breaks what was promised: fail closed."""
        if self.finish_reason in ("length", "content_filter"):
            return  # cut short, and said so
        if (self._promise.named or self._promise.required) and not self.calls:
            raise _broken("The model called no tool although 'tool_choice' demands a call.")
        for call in self.calls:
            schema = self._promise.arguments.get(call.name)
            _check_json(call.arguments, schema or {"type": "object"}, f"arguments of '{call.name}'")
        if self._promise.schema is not None and not self.calls:
            _check_json(self.text, self._promise.schema, "answer")


def _check_json(text: str, schema: JSONSchema, what: str) -> None:
    try:
        value: Any = json.loads(text)
    except ValueError:
        raise _broken(f"The model's {what} was not valid JSON.") from None
    validator: Any = Draft202012Validator(dict(schema))  # its stubs leave types open
    if not validator.is_valid(value):
        raise _broken(f"The model's {what} did not fit the JSON schema.")


def _broken(message: str) -> InternalServerError:
    return InternalServerError(f"{message} Please try again.", code="invalid_model_output")
