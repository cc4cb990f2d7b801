"""Legacy completions: the rules between a request and an engine."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from freehold.api import sse
from freehold.api.accounting import Account, Counts
from freehold.api.context import Context
from freehold.engines.base import Done, TextDelta, TextEngine, TokenLogprob
from freehold.engines.merging import merged
from freehold.resources.completions import answer, rules
from freehold.resources.completions.candidate import Candidate
from freehold.resources.completions.prepare import Prepared, count, prepare
from freehold.resources.completions.prompts import NEW_DOCUMENT, Prompt
from freehold.wire.completions import CompletionCreateParams

Ready = tuple[Candidate, list[TextDelta] | None]


async def create(
    context: Context, body: CompletionCreateParams
) -> dict[str, Any] | sse.EventStream:
    """Continue texts, whole or as a stream."""
    registry = context.services.registry
    model = registry.find(body.model)
    registry.require(model, context.operation_id)
    rules.check(body)
    engine = await model.text.ensure_loaded()
    prepared = await prepare(body, model, engine)
    await context.take(model.snapshot, prepared.estimate())
    completion = _Completion(context, prepared, engine)
    if body.stream:
        return sse.EventStream(completion.stream())
    return await completion.whole()


class _Completion:
    """One request on its way through the engine."""

    def __init__(self, context: Context, prepared: Prepared, engine: TextEngine) -> None:
        self._context = context
        self._prepared = prepared
        self._engine = engine
        self._candidates = prepared.candidates()
        self._scores = _Scores(prepared)
        self._account = Account(context, prepared.estimate(), self._written)

    async def whole(self) -> dict[str, Any]:
        with self._account:
            async with aclosing(self._ready()) as ready:
                async for _ in ready:
                    pass
            counts = await self._settle()
        completion = answer.head(self._prepared)
        completion["choices"] = [
            (await self._writer(candidate)).whole(index)
            for index, candidate in enumerate(self._best())
        ]
        return completion | {"usage": counts.usage()}

    async def stream(self) -> AsyncGenerator[bytes, None]:
        options = self._prepared.body.stream_options
        include_usage = bool(options and options.include_usage)
        chunks = answer.ChunkWriter(answer.head(self._prepared), usage_null=include_usage)
        with self._account:
            async with aclosing(self._frames(chunks)) as frames:
                async for frame in frames:
                    yield frame
            counts = await self._settle()
        yield (chunks.usage(counts.usage()) if include_usage else b"") + sse.DONE

    async def _frames(self, chunks: answer.ChunkWriter) -> AsyncGenerator[bytes, None]:
        """Yield chunks; an echo goes out with the first of its text, once that can't be refused."""
        writers: dict[int, answer.TextWriter] = {}
        async with aclosing(self._ready()) as ready:
            async for candidate, pieces in ready:
                frames: list[bytes] = []
                if candidate.index not in writers:
                    writers[candidate.index] = await self._writer(candidate)
                    frames.append(chunks.beginning(writers[candidate.index]))
                writer = writers[candidate.index]
                frames += [chunks.piece(writer, piece) for piece in pieces or ()]
                if pieces is None:
                    frames.append(chunks.finish(candidate))
                yield b"".join(frames)

    def _ready(self) -> AsyncGenerator[Ready, None]:
        """Yield each text's pieces as they come, and None once it is complete."""
        if len(self._candidates) == 1:
            return self._run(self._candidates[0])
        return merged([self._run(one) for one in self._candidates], self._engine.slots)

    async def _run(self, candidate: Candidate) -> AsyncGenerator[Ready, None]:
        await self._scores.of(candidate.prompt)
        if self._prepared.max_tokens:
            async with aclosing(self._generate(candidate)) as ready:
                async for one in ready:
                    yield one
        else:
            candidate.feed([Done("length", await self._counted(candidate.prompt), 0)])
        yield candidate, None

    async def _generate(self, candidate: Candidate) -> AsyncGenerator[Ready, None]:
        generation = self._prepared.generation(candidate)
        async with (
            self._prepared.model.text.admit() as engine,
            aclosing(engine.generate(generation)) as groups,
        ):
            async for events in groups:
                if pieces := candidate.feed(events):
                    yield candidate, pieces
                if candidate.complete:
                    break

    async def _writer(self, candidate: Candidate) -> answer.TextWriter:
        scored = await self._scores.of(candidate.prompt)
        return answer.TextWriter(self._prepared, candidate, scored)

    def _best(self) -> list[Candidate]:
        """Return ``n`` texts of each prompt, the likeliest first where there are more."""
        n, each = self._prepared.n, self._prepared.each
        chosen: list[Candidate] = []
        for begin in range(0, len(self._candidates), each):
            group = self._candidates[begin : begin + each]
            if each > n:
                group = sorted(group, key=lambda one: one.likelihood, reverse=True)[:n]
            chosen += group
        return chosen

    async def _settle(self) -> Counts:
        """Count honestly: every prompt once, every text that was made."""
        prompt = cached = 0
        for begin in range(0, len(self._candidates), self._prepared.each):
            group = self._candidates[begin : begin + self._prepared.each]
            ended = next((one.done for one in group if one.done), None)
            prompt += ended.prompt_tokens if ended else await self._counted(group[0].prompt)
            cached += ended.cached_tokens if ended else 0
        made = sum(one.used for one in self._candidates)
        counts = Counts(prompt, made, cached)
        self._account.settle(counts)
        return counts

    async def _counted(self, prompt: Prompt) -> int:
        known = await count(prompt, self._engine)
        return prompt.estimate() if known is None else known

    def _written(self) -> int:
        return sum(one.tokens for one in self._candidates)


class _Scores:
    """Log-probabilities of prompts that are echoed with them; each is asked for once."""

    def __init__(self, prepared: Prepared) -> None:
        body = prepared.body
        self._wanted = body.logprobs if body.echo else None
        self._holder = prepared.model.text
        self._known: dict[Prompt, Sequence[TokenLogprob]] = {}
        self._turns: defaultdict[Prompt, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, prompt: Prompt) -> Sequence[TokenLogprob] | None:
        """Return the prompt's tokens with their figures, None where nobody asked."""
        if self._wanted is None:
            return None
        async with self._turns[prompt]:
            if prompt not in self._known:
                self._known[prompt] = await self._score(prompt, self._wanted)
            return self._known[prompt]

    async def _score(self, prompt: Prompt, alternatives: int) -> Sequence[TokenLogprob]:
        if not prompt.given:
            mark = prompt.text.encode()
            return [TokenLogprob(NEW_DOCUMENT, mark, 0.0)] if mark else []
        async with self._holder.admit() as engine:
            return await engine.score(prompt.given, alternatives)
