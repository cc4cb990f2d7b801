"""The text engine on llama.cpp: a child process per model, its slots, its restarts."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

from freehold.core.errors import BadRequestError
from freehold.engines.backends.kept import Kept, lost
from freehold.engines.backends.llama_answer import FAR, Answer, evicted, too_long
from freehold.engines.backends.llama_channel import EngineLostError, EvictedError
from freehold.engines.backends.llama_control import Control
from freehold.engines.backends.llama_gguf import DamagedFileError, ModelFile, read_head
from freehold.engines.backends.llama_media import images_of, marked, new_marker, shown
from freehold.engines.backends.llama_process import MMPROJ, ChildSettings, LlamaProcess
from freehold.engines.backends.llama_score import Scoring, without_marks
from freehold.engines.backends.llama_slots import PORTION, Lease, Slots
from freehold.engines.backends.llama_wire import (
    LATE,
    EnginePrompt,
    Shown,
    request_fields,
    write_request,
)
from freehold.engines.base import (
    Chat,
    Done,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
    Generation,
    TextDelta,
    TextEvent,
    TokenLogprob,
    no_insertion,
)
from freehold.engines.bounds import Bounds
from freehold.engines.grammar import constraint, ending
from freehold.engines.template import Plain, PromptTemplate, TemplateFaultError
from freehold.engines.toolcalls import ToolCallParser, merge
from freehold.engines.viewer import Viewer

_SLOTS = 4
_LARGEST_DEFAULT_CONTEXT = 8192
# Options with which a model can use more positions than it was trained on.
_STRETCHING = ("rope_", "yarn_")
# Larger batches read long prompts a little faster, but can't be stopped sooner.
_BATCH = 256
# Some models take all tokens of a picture at once or not at all.
_SEEING_BATCH = 1024
# A prompt has at most one token per byte, and those that mark its beginning.
_MARKS = 4


@dataclass(frozen=True, slots=True)
class _Running:
    """A living child and the line in front of it."""

    process: LlamaProcess
    control: Control
    slots: Slots

    async def wait(self) -> str:
        return await self.process.wait()

    async def close(self) -> None:
        self.slots.fail()
        await self.control.close()
        await self.process.close()


class LlamaEngine:
    """A GGUF model, loaded. A child that dies is replaced; what it was answering fails with 503."""

    def __init__(self, child: ChildSettings, template: PromptTemplate, model: ModelFile) -> None:
        self._child = child
        self._template = template
        self._start_token = model.start_token
        self._end_token = model.end_token
        self._insertion = model.insertion
        self._vocabulary = model.vocabulary
        self._bounds = Bounds.of(child.options)
        self._fingerprint = _fingerprint(child)
        self._kept = Kept(child.weights.name, self._start)
        self._plain: dict[str, list[int]] = {}
        self._viewer = Viewer()

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine with its child running. Raises ``EngineLoadError``."""
        if config.weights is None:
            raise EngineLoadError(
                f"The model {config.model} has no weights: name a GGUF file as `weights`."
            )
        model = await asyncio.to_thread(_head, config.weights)
        engine = cls(
            _child_settings(config, config.weights, model), _template(config, model), model
        )
        running = await engine._kept.begin()
        try:
            engine._template.adds_bos = await running.control.adds_start()
        except EngineLostError as error:
            await engine.close()
            raise EngineLoadError(f"The engine of {config.model} ended at once.") from error
        return engine

    @property
    def window(self) -> int:
        return self._child.context

    @property
    def slots(self) -> int:
        return self._child.slots

    @property
    def sees(self) -> bool:
        return self._child.sees

    async def generate(self, request: Generation) -> AsyncGenerator[Sequence[TextEvent], None]:
        """Yield events in groups, the last one being ``Done``; see ``TextEngine``."""
        self._check_ids(request.sampling.logit_bias, "logit_bias")
        grammar = constraint(request, self._bounds)
        running = self._kept.require()
        try:
            prompt = await self._read(running, request)
            if request.sampling.max_tokens == 0:
                yield [await self._nothing(running, prompt)]
                return
            lease, need = await self._enter(running, request, prompt)
        except EngineLostError as error:
            raise lost() from error
        # In calls and JSON a stop string would cut what must stay whole.
        stop = () if grammar else request.stop
        # A short prompt's bound is near enough; of a long one the engine tells the true size.
        long = need > self.window // self.slots
        if not long:
            running.slots.knows_prompt(lease, need, request.sampling.max_tokens or self.window)
        told = None if grammar is None else ending(grammar, self._end_token)
        fields = request_fields(prompt, request.sampling, told, self.window, stop, progress=long)
        body = (LATE if request.whole else b"") + write_request(fields)
        answer = Answer(
            running.slots,
            lease,
            request,
            grammar,
            window=self.window,
            fingerprint=self._fingerprint,
            ends_loops=bool(self._child.options.get("end_loops")),
        )
        parser = ToolCallParser() if _may_call(request) else None
        try:
            answer.start(body)
            while (events := await answer.next()) is not None:
                group = events if parser is None else _parsed(parser, events)
                if group:
                    yield group
                if answer.looped:
                    end = [answer.done_early(await running.control.count(prompt))]
                    yield end if parser is None else _parsed(parser, end)
                    return
        finally:
            answer.release()

    async def score(self, prompt: str | Sequence[int], alternatives: int) -> Sequence[TokenLogprob]:
        """Return the prompt's tokens with their figures; see ``TextEngine``."""
        running = self._kept.require()
        self._check_ids(prompt)
        try:
            pieces = await running.control.pieces(prompt)
            if len(pieces) >= self.window:
                raise too_long(len(pieces), self.window, chat=False)
            whole_token = (await self._plain_tokens(running, "a"))[0]
            channel = await running.slots.channel()
            lease = await running.slots.room(channel, len(pieces) + 1)
            scoring = Scoring(channel, whole_token=whole_token, vocabulary=self._vocabulary)
            try:
                scored = await scoring.run(pieces, alternatives)
            finally:
                lease.channel.release()
        except EngineLostError as error:
            raise lost() from error
        except EvictedError as error:
            raise evicted() from error
        return without_marks(scored, prompt)

    async def count_tokens(self, prompt: Chat | str) -> int:
        """Return the number of tokens that the prompt takes, template included."""
        running = self._kept.require()
        try:
            read = await self._prompt(running, prompt)
            return await running.control.count(read)
        except EngineLostError as error:
            raise lost() from error

    async def tokenize(self, text: str) -> list[int]:
        """Return native token ids of plain text."""
        try:
            return await self._kept.require().control.tokenize(text)
        except EngineLostError as error:
            raise lost() from error

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of native token ids."""
        self._check_ids(tokens)
        try:
            return await self._kept.require().control.detokenize(tokens)
        except EngineLostError as error:
            raise lost() from error

    def status(self) -> EngineStatus:
        running = self._kept.running
        return EngineStatus(
            state=self._kept.state,
            slots=self.slots,
            busy=running.slots.busy if running else 0,
            restarts=self._kept.restarts,
            window=self.window,
            resident_bytes=running.process.resident_bytes() if running else None,
            detail=self._kept.detail,
            tokens_per_s=running.slots.tokens_per_s if running else None,
        )

    async def close(self) -> None:
        """End the child; answers that still run fail."""
        await self._kept.close()

    def _check_ids(self, tokens: str | Iterable[int], param: str = "prompt") -> None:
        """Refuse ids that the model does not have: the library must not meet them."""
        if isinstance(tokens, str):
            return
        strange = [token for token in tokens if not 0 <= token < self._vocabulary]
        if strange:
            raise BadRequestError(
                f"Invalid '{param}': {strange[0]} is not a token ID of this model's vocabulary.",
                param=param,
                code="invalid_value",
            )

    async def _read(self, running: _Running, request: Generation) -> EnginePrompt:
        """Return the prompt as the engine takes it, around what is to be filled in."""
        if request.suffix is None:
            return await self._prompt(running, request.prompt)
        if self._insertion is None or not isinstance(request.prompt, str):
            raise no_insertion()
        before, after, middle = self._insertion
        prefix = await running.control.tokenize(request.prompt)
        suffix = await running.control.tokenize(request.suffix)
        return [before, *prefix, after, *suffix, middle]

    async def _prompt(self, running: _Running, prompt: Chat | str | Sequence[int]) -> EnginePrompt:
        """Return the prompt as the engine takes it: text, or pieces of text and token ids."""
        if not isinstance(prompt, Chat):
            self._check_ids(prompt)
            return [self._start_token] if not prompt and self._start_token is not None else prompt
        if images := images_of(prompt):
            marker = self._child.marker
            rendered = self._template.render(marked(prompt, marker))
            return await shown(rendered, images, marker, self._viewer)
        pieces: list[str | int] = []
        for piece in self._template.render(prompt):
            if isinstance(piece, Plain):
                pieces += await self._plain_tokens(running, piece.text)
            else:
                pieces.append(piece)
        return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], str) else pieces

    async def _plain_tokens(self, running: _Running, text: str) -> list[int]:
        """Return the tokens of a control token's name taken as ordinary text."""
        if text not in self._plain:
            self._plain[text] = await running.control.tokenize(text)
        return self._plain[text]

    async def _enter(
        self, running: _Running, request: Generation, prompt: EnginePrompt
    ) -> tuple[Lease, int]:
        """Wait for a slot, then for room for the prompt and the first part of the answer.

        Also returns the prompt's tokens, or a bound of them.
        """
        answer = min(PORTION, request.sampling.max_tokens or PORTION)
        channel = await running.slots.channel()
        need = _most_tokens(prompt)
        if need is None or need + answer > running.slots.free_tokens:
            try:
                need = await self._count(running, prompt, request.prompt)
            except BaseException:
                running.slots.idle(channel)
                raise
        return await running.slots.room(channel, need + answer), need

    async def _count(
        self, running: _Running, prompt: EnginePrompt, given: Chat | str | Sequence[int]
    ) -> int:
        """Return the prompt's true size. Raises ``BadRequestError`` where it leaves no room."""
        tokens = await running.control.count(prompt)
        if tokens >= self.window:
            raise too_long(tokens, self.window, chat=isinstance(given, Chat))
        return tokens

    async def _nothing(self, running: _Running, prompt: EnginePrompt) -> Done:
        """Answer with no token at all, as a caller asked who wants none."""
        tokens = await running.control.count(prompt)
        return Done("length", tokens, 0, fingerprint=self._fingerprint)

    async def _start(self) -> _Running:
        slots = Slots(self._child.context)
        process = await LlamaProcess.start(self._child, slots.idle)
        far = FAR * self._child.context
        control = Control(process.control, self._child.marker, enough=far)
        return _Running(process, control, slots)


def _head(weights: Path) -> ModelFile:
    try:
        return read_head(weights)
    except FileNotFoundError as error:
        raise EngineLoadError(
            f"There is no file {weights}. Fetch the weights with `freehold models pull`."
        ) from error
    except (OSError, DamagedFileError) as error:
        raise EngineLoadError(
            f"The weights {weights} can't be read: {error}. "
            "Check the file, or fetch it again with `freehold models pull`."
        ) from error


def _child_settings(config: EngineConfig, weights: Path, model: ModelFile) -> ChildSettings:
    wanted = config.context or _LARGEST_DEFAULT_CONTEXT
    if config.context is None or not any(name.startswith(_STRETCHING) for name in config.options):
        wanted = min(wanted, model.trained_context)
    batch = _SEEING_BATCH if MMPROJ in config.options else _BATCH
    options = {"n_batch": batch, "n_ubatch": batch, **config.options}
    return ChildSettings(
        weights=weights,
        context=wanted,
        slots=config.slots or _SLOTS,
        threads=config.threads or max(1, (os.cpu_count() or 2) - 1),
        runtime_dir=config.runtime_dir,
        options=options,
        marker=new_marker(),
    )


def _template(config: EngineConfig, model: ModelFile) -> PromptTemplate:
    source = config.template or model.template
    if source is None:
        raise EngineLoadError(
            f"The weights of {config.model} have no chat template: name a Jinja file as `template`."
        )
    try:
        return PromptTemplate(
            source,
            bos_token=model.bos_token,
            eos_token=model.eos_token,
            control_tokens=model.control_tokens,
            system_prompt=config.system_prompt,
            variables=config.options.get("template_variables"),
        )
    except TemplateFaultError as error:
        raise EngineLoadError(f"{config.model}: {error}") from error


def _fingerprint(child: ChildSettings) -> str:
    """Name what the same seed needs to give the same text: the library and the weights."""
    size = child.weights.stat().st_size
    facts = f"{version('xllamacpp')} {child.weights.name} {size} {child.threads}"
    return f"fp_{hashlib.sha256(facts.encode()).hexdigest()[:10]}"


def _most_tokens(prompt: EnginePrompt) -> int | None:
    """Return a bound of the prompt's tokens that costs nothing to find; None for pictures."""
    if isinstance(prompt, Shown):
        return None
    if isinstance(prompt, str):
        return len(prompt.encode()) + _MARKS
    pieces = (len(piece.encode()) if isinstance(piece, str) else 1 for piece in prompt)
    return sum(pieces) + _MARKS


def _may_call(request: Generation) -> bool:
    return isinstance(request.prompt, Chat) and bool(request.prompt.tools)


def _parsed(parser: ToolCallParser, events: Sequence[TextEvent]) -> list[TextEvent]:
    """Turn a group of plain events into one with calls."""
    group: list[TextEvent] = []
    for event in events:
        if isinstance(event, Done):
            group += parser.finish(event)
        elif isinstance(event, TextDelta):
            group += parser.feed(event)
    return merge(group)
