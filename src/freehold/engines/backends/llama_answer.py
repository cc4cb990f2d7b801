"""One answer of llama.cpp: its lines, turned into events and errors."""

import logging
from typing import NoReturn

from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    ServiceUnavailableError,
)
from freehold.engines.backends.kept import lost
from freehold.engines.backends.llama_channel import EngineLostError, EvictedError
from freehold.engines.backends.llama_slots import Lease, Slots
from freehold.engines.backends.llama_wire import Fault, Line, Usage, read_line, text_delta
from freehold.engines.base import Chat, Done, FinishReason, Generation, TextEvent
from freehold.engines.grammar import CALL_OPENER, GrammarWatch
from freehold.engines.stopping import LoopWatch

_log = logging.getLogger(__name__)
_TOO_LONG = "exceed_context_size_error"
_POOL_FULL = "Context size has been exceeded"
FAR = 2  # prompts of more than so many windows need not be counted to their end


class Answer:
    """Reads one answer from the slot that its lease holds."""

    def __init__(
        self,
        slots: Slots,
        lease: Lease,
        request: Generation,
        grammar: str | None,
        *,
        window: int,
        fingerprint: str,
        ends_loops: bool = False,
    ) -> None:
        self._slots = slots
        self._lease = lease
        self._of_chat = isinstance(request.prompt, Chat)
        self._most = request.sampling.max_tokens or window
        self._alternatives = request.sampling.logprobs
        self._watch = None if grammar is None else GrammarWatch(grammar)
        in_words = self._of_chat and request.schema is None
        self._circling = LoopWatch() if in_words and ends_loops else None
        self._latest = ""
        self.looped = False
        self._window = window
        self._drawn = 0
        self._fingerprint = fingerprint

    def start(self, body: bytes) -> None:
        """Send the request."""
        try:
            self._lease.channel.start(body)
        except EngineLostError as error:
            raise lost() from error

    async def next(self) -> list[TextEvent] | None:
        """Return the events that have become ready, perhaps none; None after the last."""
        try:
            lines = await self._lease.channel.lines()
        except EngineLostError as error:
            raise lost() from error
        except EvictedError as error:
            raise evicted() from error
        if lines is None:
            return None
        events: list[TextEvent] = []
        before = self._drawn
        for line in lines:
            self._take(read_line(line), events)
            if self.looped:
                break
        self._slots.grow(self._lease, self._drawn - before)
        return events

    def done_early(self, prompt_tokens: int) -> Done:
        """Return the end of an answer that went round in circles."""
        return Done("stop", prompt_tokens, self._drawn, fingerprint=self._fingerprint)

    def release(self) -> None:
        """Let go of the slot, ending what the engine still does for this answer."""
        self._lease.channel.release()

    def _take(self, line: Line, events: list[TextEvent]) -> None:
        if line.error is not None:
            self._refuse(line.error)
        if line.prompt_progress is not None:
            self._slots.knows_prompt(self._lease, line.prompt_progress.total, self._most)
        for choice in line.choices:
            if delta := text_delta(choice, self._alternatives):
                self._drawn += 1
                if self._watch is not None and not self._watch.follows(delta.text):
                    raise failed("its answer left the grammar")
                events.append(delta)
                if self._loops(delta.text):
                    self.looped = True
                    return
            if choice.finish_reason is not None and line.usage is not None:
                events.append(self._done(choice.finish_reason, line.usage))

    def _loops(self, more: str) -> bool:
        """Tell whether words go round in circles; calls may well be alike."""
        if self._circling is None:
            return False
        self._latest = self._latest[-len(CALL_OPENER) :] + more
        if CALL_OPENER in self._latest:
            self._circling = None
            return False
        return self._circling.loops(more)

    def _done(self, reason: FinishReason, usage: Usage) -> Done:
        cached = usage.prompt_tokens_details.cached_tokens
        return Done(reason, usage.prompt_tokens, usage.completion_tokens, cached, self._fingerprint)

    def _refuse(self, fault: Fault) -> NoReturn:
        if fault.type == _TOO_LONG:
            raise too_long(fault.n_prompt_tokens, self._window, chat=self._of_chat)
        if _POOL_FULL in fault.message:
            raise evicted()
        if 400 <= fault.code < 500:
            param = "messages" if self._of_chat else "prompt"
            raise BadRequestError(f"The engine refused the request: {fault.message}", param=param)
        raise failed(fault.message)


def too_long(tokens: int, window: int, *, chat: bool) -> BadRequestError:
    """Return the error for a prompt that does not fit the window, in OpenAI's words."""
    what = "your messages resulted in" if chat else "your prompt has"
    ending = "messages" if chat else "prompt"
    least = "at least " if tokens > FAR * window else ""
    return BadRequestError(
        f"This model's maximum context length is {window} tokens. However, {what} "
        f"{least}{tokens} tokens. Please reduce the length of the {ending}.",
        param=ending,
        code="context_length_exceeded",
    )


def failed(reason: str) -> APIError:
    """Return the error for an engine that broke its word; the reason goes to the log."""
    _log.error("llama.cpp failed: %s", reason)
    return InternalServerError("The engine failed while answering. Please try again.")


def evicted() -> APIError:
    """Return the error for an answer that had to make room for others."""
    return ServiceUnavailableError(
        "The model's memory is full with answers that began earlier. Please try again.",
        code="server_overloaded",
        retry_after=5,
    )
