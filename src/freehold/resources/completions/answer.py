"""Whole answers and chunks of streams in the API's older shape."""

from collections.abc import Sequence
from typing import Any

import orjson

from freehold.core import clock
from freehold.core.ids import new_id
from freehold.engines.base import TextDelta, TokenLogprob
from freehold.engines.fingerprint import fingerprint
from freehold.resources.completions.candidate import Candidate
from freehold.resources.completions.logprobs import LogprobWriter, joined
from freehold.resources.completions.prepare import Prepared


def head(prepared: Prepared) -> dict[str, Any]:
    """Return the fields that an answer and all chunks of a stream begin with."""
    return {
        "id": new_id("completion"),
        "object": "text_completion",
        "created": clock.now(),
        "model": prepared.model.snapshot,
        "system_fingerprint": fingerprint(prepared.model.spec),
    }


class TextWriter:
    """Shapes one text. ``scored`` are the prompt's tokens where they are echoed with figures."""

    def __init__(
        self, prepared: Prepared, candidate: Candidate, scored: Sequence[TokenLogprob] | None
    ) -> None:
        self.candidate = candidate
        self._echo = bool(prepared.body.echo)
        self._scored = scored
        self._logprobs: LogprobWriter | None = None
        if prepared.body.logprobs is not None:
            self._logprobs = LogprobWriter(offset=0 if self._echo else len(candidate.prompt.text))

    def beginning(self) -> tuple[str, dict[str, Any] | None]:
        """Return what comes before the continuation: the echo, or nothing."""
        text = self.candidate.prompt.text if self._echo else ""
        if self._logprobs is None:
            return text, None
        return text, self._logprobs.write(self._scored or (), first=True)

    def figures(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        """Return the figures of the next tokens where they were asked for."""
        return None if self._logprobs is None else self._logprobs.write(tokens)

    def whole(self, index: int) -> dict[str, Any]:
        """Return the choice."""
        text, echoed = self.beginning()
        figures = self.figures(self.candidate.logprobs)
        return {
            "text": text + self.candidate.text,
            "index": index,
            "logprobs": joined(echoed, figures) if echoed and figures else None,
            "finish_reason": self.candidate.finish_reason,
        }


class ChunkWriter:
    """Writes the chunks of one stream as bytes; what stays the same is encoded once."""

    def __init__(self, start: dict[str, Any], *, usage_null: bool) -> None:
        self._start = b"data: " + orjson.dumps(start)[:-1]
        self._end = b'}],"usage":null}\n\n' if usage_null else b"}]}\n\n"

    def beginning(self, writer: TextWriter) -> bytes:
        """Return the chunk of the echo; nothing where none was asked for."""
        text, figures = writer.beginning()
        return self._chunk(writer.candidate.index, text, figures) if text else b""

    def piece(self, writer: TextWriter, delta: TextDelta) -> bytes:
        """Return the chunk of one piece of text."""
        return self._chunk(writer.candidate.index, delta.text, writer.figures(delta.logprobs))

    def finish(self, candidate: Candidate) -> bytes:
        """Return the chunk that ends a text."""
        reason = orjson.dumps(candidate.finish_reason)
        return self._chunk(candidate.index, "", None, reason)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """Return the last chunk of a stream whose usage was asked for."""
        tail = orjson.dumps({"choices": [], "usage": usage})[1:]
        return self._start + b"," + tail + b"\n\n"

    def _chunk(
        self, index: int, text: str, figures: dict[str, Any] | None, reason: bytes = b"null"
    ) -> bytes:
        return b'%b,"choices":[{"text":%b,"index":%d,"logprobs":%b,"finish_reason":%b%b' % (
            self._start,
            orjson.dumps(text),
            index,
            b"null" if figures is None else orjson.dumps(figures),
            reason,
            self._end,
        )
