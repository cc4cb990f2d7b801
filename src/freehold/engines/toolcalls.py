"""Turns the text of a local model into events: plain text, and the calls between its tags."""

import json
import re
from collections.abc import Iterable
from typing import Literal, cast

from freehold.engines.base import Done, TextDelta, TextEvent, TokenLogprob, ToolCallDelta
from freehold.engines.grammar import CALL_CLOSER, CALL_OPENER

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=[^\s])')
_OPEN = frozenset("{[")
_SHUT = frozenset("}]")


class ToolCallParser:
    """Fed with text deltas in order, gives events in which no tag is ever seen as text.

    The text before a call loses its trailing white space; text between and after calls is dropped.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._state: Literal["text", "head", "arguments", "tail"] = "text"
        self._buffer = ""
        self._tokens = 0
        self._logprobs: list[TokenLogprob] = []
        self._value = JSONValueScanner()

    def feed(self, delta: TextDelta) -> list[TextEvent]:
        """Return the events that this delta completes, perhaps none."""
        self._buffer += delta.text
        self._tokens += delta.tokens
        self._logprobs += delta.logprobs
        events: list[TextEvent] = []
        while self._step(events):
            continue
        return events

    def finish(self, done: Done) -> list[TextEvent]:
        """Return what was held back, and the end with its reason."""
        events: list[TextEvent] = []
        if self._state == "text" and self.calls == 0 and (self._buffer or self._logprobs):
            self._emit_text(events, len(self._buffer))
        if self.calls and done.reason == "stop":
            done = Done(
                "tool_calls",
                done.prompt_tokens,
                done.completion_tokens,
                done.cached_tokens,
                done.fingerprint,
            )
        return [*events, done]

    def _step(self, events: list[TextEvent]) -> bool:
        """Take one piece off the buffer; False when more text must come first."""
        if self._state == "text":
            return self._text(events)
        if self._state == "head":
            return self._head(events)
        if self._state == "arguments":
            return self._arguments(events)
        return self._tail()

    def _text(self, events: list[TextEvent]) -> bool:
        start = self._buffer.find(CALL_OPENER)
        visible = self._buffer[:start] if start >= 0 else self._buffer
        keep = len(visible.rstrip()) if start >= 0 else _safe_length(visible)
        if self.calls:
            self._buffer = self._buffer[keep:]
        elif keep:
            self._emit_text(events, keep)
        if start < 0:
            return False
        self._buffer = self._buffer[self._buffer.find(CALL_OPENER) + len(CALL_OPENER) :]
        self._tokens, self._logprobs, self._state = 0, [], "head"
        return True

    def _emit_text(self, events: list[TextEvent], length: int) -> None:
        """Emit the first characters together with all tokens that are not yet accounted for."""
        events.append(TextDelta(self._buffer[:length], self._tokens, tuple(self._logprobs)))
        self._buffer = self._buffer[length:]
        self._tokens, self._logprobs = 0, []

    def _head(self, events: list[TextEvent]) -> bool:
        if match := _HEAD.match(self._buffer):
            self._start_call(events, str(json.loads(match[1])))
            self._buffer = self._buffer[match.end() :]
            self._value = JSONValueScanner()
            self._state = "arguments"
            return True
        return self._whole_call(events)

    def _whole_call(self, events: list[TextEvent]) -> bool:
        """Read a call whose keys come in another order, once all of it is there."""
        end = self._buffer.find(CALL_CLOSER)
        if end < 0:
            return False
        body, self._buffer = self._buffer[:end], self._buffer[end + len(CALL_CLOSER) :]
        self._state = "text"
        if call := _read_call(body):
            self._start_call(events, call[0], call[1])
        return True

    def _start_call(self, events: list[TextEvent], name: str, arguments: str = "") -> None:
        events.append(ToolCallDelta(self.calls, arguments, name))
        self.calls += 1

    def _arguments(self, events: list[TextEvent]) -> bool:
        if not self._buffer:
            return False
        length = self._value.take(self._buffer)
        if length:
            events.append(ToolCallDelta(self.calls - 1, self._buffer[:length]))
            self._buffer = self._buffer[length:]
        if not self._value.complete:
            return False
        self._state = "tail"
        return True

    def _tail(self) -> bool:
        end = self._buffer.find(CALL_CLOSER)
        if end < 0:
            return False
        self._buffer = self._buffer[end + len(CALL_CLOSER) :]
        self._tokens, self._state = 0, "text"
        return True


class JSONValueScanner:
    """Finds where a JSON value ends in text that comes in pieces."""

    def __init__(self) -> None:
        self.complete = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def take(self, text: str) -> int:
        """Return how many of these characters still belong to the value."""
        for position, character in enumerate(text):
            if self._ends_before(character):
                self.complete = True
                return position
            self._see(character)
            if self.complete:
                return position + 1
        return len(text)

    def _ends_before(self, character: str) -> bool:
        """Tell whether a bare number or word has ended: nothing else is open at depth 0."""
        return not self._in_string and self._depth == 0 and character in "} \t\r\n,"

    def _see(self, character: str) -> None:
        if self._in_string:
            self._see_in_string(character)
        elif character == '"':
            self._in_string = True
        elif character in _OPEN:
            self._depth += 1
        elif character in _SHUT:
            self._depth -= 1
            self.complete = self._depth == 0

    def _see_in_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
            self.complete = self._depth == 0


def merge(events: Iterable[TextEvent]) -> list[TextEvent]:
    """Join neighbouring pieces of one call's arguments: a group that came together is one piece."""
    merged: list[TextEvent] = []
    for event in events:
        last = merged[-1] if merged else None
        if (
            isinstance(event, ToolCallDelta)
            and isinstance(last, ToolCallDelta)
            and event.name is None
            and last.index == event.index
        ):
            merged[-1] = ToolCallDelta(last.index, last.arguments + event.arguments, last.name)
        else:
            merged.append(event)
    return merged


def _safe_length(text: str) -> int:
    """Return how much of the text can't be the white space before, or the start of, an opener."""
    for size in range(min(len(text), len(CALL_OPENER) - 1), 0, -1):
        if CALL_OPENER.startswith(text[-size:]):
            return len(text[:-size].rstrip())
    return len(text.rstrip())


def _read_call(body: str) -> tuple[str, str] | None:
    try:
        call: object = json.loads(body)
    except ValueError:
        return None
    if not isinstance(call, dict):
        return None
    fields = cast("dict[str, object]", call)
    name, arguments = fields.get("name"), fields.get("arguments", {})
    if not isinstance(name, str):
        return None
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments)
