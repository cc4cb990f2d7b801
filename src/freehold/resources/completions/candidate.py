"""One continuation in the making: from an engine's events to what the contract promises."""

import math
from collections.abc import Sequence
from typing import Literal

from freehold.engines.base import Done, TextDelta, TextEvent, TokenLogprob
from freehold.engines.stopping import StopFilter
from freehold.resources.completions.prompts import Prompt

FinishReason = Literal["stop", "length", "content_filter"]


class Candidate:
    """Collects one text. ``complete`` is set once nothing more is wanted from the engine."""

    def __init__(self, index: int, prompt: Prompt, stops: Sequence[str]) -> None:
        self.index = index
        self.prompt = prompt
        self.complete = False
        self.done: Done | None = None
        self.tokens = 0
        self.logprobs: list[TokenLogprob] = []
        self._stop = StopFilter(stops)
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """All text that was let through so far."""
        return "".join(self._text)

    def feed(self, events: Sequence[TextEvent]) -> list[TextDelta]:
        """Take events and return what may be sent now."""
        ready: list[TextDelta] = []
        for event in events:
            if self.complete:
                break
            if isinstance(event, TextDelta):
                self.tokens += event.tokens
                ready += self._stop.feed(event)
                self.complete = self._stop.stopped
            elif isinstance(event, Done):
                self.done, self.complete = event, True
                ready += self._stop.finish()
        for delta in ready:
            self._text.append(delta.text)
            self.logprobs += delta.logprobs
        return [delta for delta in ready if delta.text or delta.logprobs]

    @property
    def used(self) -> int:
        """How many tokens were made for it."""
        return self.done.completion_tokens if self.done else self.tokens

    @property
    def finish_reason(self) -> FinishReason:
        reason = self.done.reason if self.done else "stop"
        return reason if reason in ("length", "content_filter") else "stop"

    @property
    def likelihood(self) -> float:
        """The mean log-probability of its tokens; that of no text is the lowest."""
        if not self.logprobs:
            return -math.inf
        return sum(token.logprob for token in self.logprobs) / len(self.logprobs)
