"""Chat completions: the rules between a request and an engine."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from freehold.api import sse
from freehold.api.accounting import Account, Counts
from freehold.api.context import Context
from freehold.engines.base import TextEngine
from freehold.engines.merging import merged
from freehold.resources.chat import answer, store
from freehold.resources.chat.choice import Choice, Piece
from freehold.resources.chat.chunks import ChunkWriter
from freehold.resources.chat.prepare import Prepared, fit, look, prepare
from freehold.wire.chat import CompletionCreateParams

Ready = tuple[Choice, list[Piece] | None]


async def create(
    context: Context, body: CompletionCreateParams
) -> dict[str, Any] | sse.EventStream:
    """Answer a chat, whole or as a stream."""
    registry = context.services.registry
    model = registry.find(body.model)
    registry.require(model, context.operation_id)
    prepared = prepare(body, model)
    engine = await model.text.ensure_loaded()
    await context.take(model.snapshot, prepared.estimate())
    prepared = await look(prepared, engine, context.services)
    prepared = await fit(prepared, engine)
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
        self._choices = [Choice(index, prepared.promise) for index in range(prepared.n)]
        self._account = Account(context, prepared.estimate(), self._written)

    async def whole(self) -> dict[str, Any]:
        with self._account:
            async with aclosing(self._ready()) as ready:
                async for _ in ready:
                    pass
            for choice in self._choices:
                choice.check()
            counts = await self._settle()
        start = answer.head(self._prepared, "chat.completion")
        completion = answer.whole(self._prepared, self._choices, start)
        completion["usage"] = counts.usage()
        await self._keep(completion)
        return completion

    async def stream(self) -> AsyncGenerator[bytes, None]:
        start = answer.head(self._prepared, "chat.completion.chunk")
        options = self._prepared.body.stream_options
        include_usage = bool(options and options.include_usage)
        writer = ChunkWriter(
            start,
            usage_null=include_usage,
            style=self._prepared.promise.style,
            logprobs=bool(self._prepared.body.logprobs),
        )
        with self._account:
            async with aclosing(self._frames(writer)) as frames:
                async for frame in frames:
                    yield frame
            counts = await self._settle()
        completion = answer.whole(
            self._prepared, self._choices, start | {"object": "chat.completion"}
        )
        await self._keep(completion | {"usage": counts.usage()})
        yield (writer.usage(counts.usage()) if include_usage else b"") + sse.DONE

    async def _frames(self, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
        opened: set[int] = set()
        async with aclosing(self._ready()) as ready:
            async for choice, pieces in ready:
                frames: list[bytes] = []
                if choice.index not in opened:
                    opened.add(choice.index)
                    frames.append(writer.role(choice.index, pieces[0] if pieces else None))
                if pieces is None:
                    choice.check()
                    frames.append(writer.finish(choice.index, choice.finish_reason))
                else:
                    frames += [writer.piece(choice.index, piece) for piece in pieces]
                yield b"".join(frames)

    def _ready(self) -> AsyncGenerator[Ready, None]:
        """Yield each choice's pieces as they come, and None once it is complete."""
        if len(self._choices) == 1:
            return self._run(self._choices[0])
        runs = [self._run(choice) for choice in self._choices]
        return merged(runs, self._engine.slots)

    async def _run(self, choice: Choice) -> AsyncGenerator[Ready, None]:
        generation = self._prepared.of_choice(choice.index)
        async with (
            self._prepared.model.text.admit() as engine,
            aclosing(engine.generate(generation)) as groups,
        ):
            async for events in groups:
                pieces = choice.feed(events)
                if pieces:
                    yield choice, pieces
                if choice.complete:
                    break
        yield choice, None

    async def _settle(self) -> Counts:
        counts = await answer.count(self._prepared, self._choices, self._engine)
        self._account.settle(counts)
        return counts

    def _written(self) -> int:
        return sum(choice.tokens for choice in self._choices)

    async def _keep(self, completion: dict[str, Any]) -> None:
        """Store the request and its answer where asked to and allowed to."""
        body = self._prepared.body
        if not body.store or self._context.principal.zero_data_retention:
            return
        row = {
            "id": completion["id"],
            "project_id": self._context.project_id,
            "created": completion["created"],
            "model": completion["model"],
            "request_id": self._context.request_id,
            "request": orjson.loads(body.model_dump_json(exclude_unset=True, by_alias=True)),
            "response": completion,
            "metadata": body.metadata or {},
        }
        await self._context.services.database.write(lambda c: store.insert(c, row))
