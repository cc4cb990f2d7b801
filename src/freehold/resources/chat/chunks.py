"""Streamed chunks, written as bytes: what stays the same is encoded once per stream."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson

from freehold.engines.base import TextDelta, TokenLogprob
from freehold.resources.chat.choice import CallPiece, Piece


def logprob_items(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Return log-probabilities in the API's shape."""
    return [
        {
            "token": token.token,
            "logprob": token.logprob,
            "bytes": list(token.bytes),
            "top_logprobs": [
                {"token": other.token, "logprob": other.logprob, "bytes": list(other.bytes)}
                for other in token.top
            ],
        }
        for token in tokens
    ]


class ChunkWriter:
    """Writes the chunks of one stream. ``head`` holds id, created, model and the like."""

    def __init__(
        self,
        head: dict[str, Any],
        *,
        usage_null: bool,
        style: Literal["tools", "function"],
        logprobs: bool,
    ) -> None:
        self._start = b"data: " + orjson.dumps(head)[:-1]
        self._end = b',"usage":null}\n\n' if usage_null else b"}\n\n"
        self._style = style
        self._logprobs = logprobs

    def role(self, index: int, first: Piece | None) -> bytes:
        """Return the chunk that opens a choice."""
        content = None if isinstance(first, CallPiece) else ""
        return self._choice(index, {"role": "assistant", "content": content, "refusal": None})

    def piece(self, index: int, piece: Piece) -> bytes:
        """Return the chunk of one piece."""
        if isinstance(piece, TextDelta):
            return self._text(index, piece)
        return self._choice(index, self._call(piece))

    def _text(self, index: int, delta: TextDelta) -> bytes:
        text = orjson.dumps(delta.text)
        if not self._logprobs:
            tail = b'},"logprobs":null,"finish_reason":null}]'
        else:
            content = orjson.dumps(logprob_items(delta.logprobs))
            tail = b'},"logprobs":{"content":%b,"refusal":null},"finish_reason":null}]' % content
        return b'%b,"choices":[{"index":%d,"delta":{"content":%b%b%b' % (
            self._start,
            index,
            text,
            tail,
            self._end,
        )

    def _call(self, piece: CallPiece) -> dict[str, Any]:
        function: dict[str, Any] = {"arguments": piece.arguments}
        if piece.call:
            function = {"name": piece.call.name, "arguments": piece.arguments}
        if self._style == "function":
            return {"function_call": function}
        call: dict[str, Any] = {"index": piece.index}
        if piece.call:
            call |= {"id": piece.call.id, "type": "function"}
        return {"tool_calls": [call | {"function": function}]}

    def finish(self, index: int, reason: str) -> bytes:
        """Return the chunk that ends a choice."""
        return self._choice(index, {}, reason)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """Return the last chunk of a stream whose usage was asked for."""
        tail = orjson.dumps({"choices": [], "usage": usage})[1:]
        return self._start + b"," + tail + b"\n\n"

    def _choice(self, index: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._start + b',"choices":' + orjson.dumps([choice]) + self._end
