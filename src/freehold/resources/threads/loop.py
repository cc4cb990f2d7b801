"""How a run advances: a turn of the model, its calls, and again, until it has answered."""

import asyncio
import base64
import logging
import traceback
from contextlib import aclosing
from typing import Any

from freehold.api.accounting import Account, Counts
from freehold.api.auth import Principal
from freehold.api.context import Context, Services
from freehold.core.errors import (
    APIError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)
from freehold.data import limits
from freehold.engines.registry import Model
from freehold.resources.chat import answer
from freehold.resources.chat.choice import Choice
from freehold.resources.chat.prepare import Prepared, fit, look
from freehold.resources.files import library
from freehold.resources.threads import (
    citation,
    run_end,
    run_prompt,
    tool_code,
    tool_offer,
    tool_paths,
    tool_search,
)
from freehold.resources.threads.loop_calls import Calls
from freehold.resources.threads.loop_turn import Material, Turn
from freehold.resources.threads.run_journal import Journal
from freehold.resources.threads.run_prompt import PromptBudgetError, Wish
from freehold.resources.threads.tool_offer import Offer

log = logging.getLogger("freehold.runs")

_BREAKDOWNS = 3  # of an engine, before the run is given up
_OVERLOADED = "server_overloaded"
_PICTURE = "data:image/*;base64,"  # of which kind it is, is read off its bytes


class Loop:
    """One run at work. ``stream``: somebody reads its words as they come."""

    def __init__(self, services: Services, journal: Journal, *, stream: bool) -> None:
        self._services = services
        self._journal = journal
        self._stream = stream
        self._run = journal.run
        self._offer = tool_offer.offer(self._run["tools"])
        self._calls = Calls(services, journal, self._offer)
        if self._offer.has("code_interpreter"):
            services.sandboxes.open()  # a session gets ready while the model writes its code
        self._turn: Turn | None = None
        self._pictures: dict[str, str] = {}
        self._rounds = 0

    @property
    def written(self) -> list[dict[str, Any]] | None:
        """What there is of an unfinished message; None where no message is being written."""
        return self._turn.content() if self._turn and self._turn.writing else None

    async def go_on(self) -> None:
        """Advance until the run has ended or waits for outputs."""
        if not await self._calls.make():
            return
        await self._search_first()
        while not await self._round():
            pass

    async def fail(self, error: Exception) -> None:
        """End the run with what went wrong."""
        told = _fault(error)
        await self._journal.end("failed", content=self.written, error=told)

    async def _round(self) -> bool:
        """Have the model take a turn and make its calls; return whether the run has stopped."""
        self._rounds += 1
        if self._spent():
            await self._journal.end("incomplete", reason="max_completion_tokens")
            return True
        try:
            choice, counts = await self._patiently()
        except PromptBudgetError:
            await self._journal.end("incomplete", reason="max_prompt_tokens")
            return True
        turn = self._turn
        assert turn is not None  # noqa: S101 - it has just been taken
        used = (counts.prompt, counts.completion - turn.told)
        if choice.calls and choice.finish_reason in ("length", "content_filter"):
            await self._journal.end("incomplete", reason="max_completion_tokens")
            return True
        if choice.calls:
            await self._calls.record(choice.calls, used)
            return not await self._calls.make()
        code = self._written_code(choice)
        if code is not None:
            await self._journal.close_message(await turn.finish(), used)
            await self._calls.run_written(code)
            return False
        await self._finish(turn, choice, used)
        return True

    async def _finish(self, turn: Turn, choice: Choice, used: tuple[int, int]) -> None:
        content = await turn.finish()
        match choice.finish_reason:
            case "length":
                await self._journal.finish(content, used, "incomplete", "max_tokens")
            case "content_filter":
                await self._journal.finish(content, used, "failed", "content_filter")
            case _:
                await self._journal.finish(content, used, "completed")

    async def _patiently(self) -> tuple[Choice, Counts]:
        """Take a turn; wait for an engine that is overloaded, and for one that restarts."""
        breakdowns = 0
        while True:
            try:
                return await self._take_turn()
            except ServiceUnavailableError as error:
                breakdowns += error.code != _OVERLOADED
                begun = self._journal.message is not None or self._journal.calls is not None
                if error.retryable is False or breakdowns >= _BREAKDOWNS or begun:
                    raise
                await asyncio.sleep(error.retry_after or 1)

    async def _take_turn(self) -> tuple[Choice, Counts]:
        model = self._services.registry.find(self._run["model"])
        engine = await model.text.ensure_loaded()
        prepared = await self._prepared(model)
        context = self._context()
        await context.take(model.snapshot, prepared.estimate())
        prepared = await look(prepared, engine, self._services)
        prepared = await fit(prepared, engine)
        choice = Choice(0, prepared.promise)
        self._turn = turn = Turn(self._journal, choice, self._offer, self._material())
        account = Account(context, prepared.estimate(), lambda: choice.tokens)
        with account:
            async with (
                model.text.admit() as engine,
                aclosing(engine.generate(prepared.generation)) as groups,
            ):
                async for events in groups:
                    await turn.take(choice.feed(events))
                    if choice.complete:
                        break
            self._check(choice)
            counts = await answer.count(prepared, [choice], engine)
            account.settle(counts)
        return choice, counts

    async def _prepared(self, model: Model) -> Prepared:
        engine = await model.text.ensure_loaded()
        await self._load_pictures()
        talk = run_prompt.conversation(
            self._run, self._journal.messages, self._journal.steps, self._pictures
        )
        called = any(step["type"] == "tool_calls" for step in self._journal.steps)
        wish = Wish(
            self._offered(),
            forced=not called,
            may_call=self._may_call,
            stream=self._stream,
            passages=self._passages(),
        )
        return await run_prompt.fitted(self._run, model, engine, talk, wish)

    async def _load_pictures(self) -> None:
        """Read the pictures of the thread that have not been read yet."""
        for file_id in run_prompt.picture_files(self._journal.messages) - set(self._pictures):
            try:
                file = await library.find(self._services, self._run["project_id"], file_id)
                async with aclosing(library.read(self._services, file)) as chunks:
                    data = b"".join([chunk async for chunk in chunks])
            except NotFoundError:
                continue
            self._pictures[file_id] = _PICTURE + base64.b64encode(data).decode()

    @property
    def _may_call(self) -> bool:
        """Whether there are turns left in which tools are offered."""
        return self._rounds < limits.figure("runs", "rounds")

    def _written_code(self, choice: Choice) -> str | None:
        """Return code that a weak model wrote into its answer instead of calling for it."""
        if not self._model_is_weak or not self._offer.has("code_interpreter"):
            return None
        done = any(step["type"] == "tool_calls" for step in self._journal.steps)
        if done or choice.finish_reason != "stop" or self._run["tool_choice"] == "none":
            return None
        return tool_code.written(choice.text)

    async def _search_first(self) -> None:
        """Search for the question of a weak model, which would not do so by itself."""
        done = any(step["type"] == "tool_calls" for step in self._journal.steps)
        asked = run_prompt.question(self._journal.messages)
        searches = self._run["tool_choice"] != "none" and asked.strip()
        if self._we_search and searches and not done:
            await self._calls.search_first(asked)

    @property
    def _model_is_weak(self) -> bool:
        model = self._services.registry.find(self._run["model"])
        return tool_search.useful_context(model) is not None

    @property
    def _we_search(self) -> bool:
        """Whether the model searches files only where we do it for it."""
        return self._offer.has("file_search") and self._model_is_weak

    def _offered(self) -> Offer:
        """Return the tools that the model is shown: a weak one has been given what was found."""
        if not self._we_search:
            return self._offer
        return tool_offer.offer([t for t in self._run["tools"] if t["type"] != "file_search"])

    def _passages(self) -> str:
        if not self._we_search:
            return ""
        results = [
            result
            for step in self._journal.steps
            for call in step["details"].get("tool_calls", ())
            for result in call.get("file_search", {}).get("results", ())
        ]
        return tool_search.passages(run_prompt.question(self._journal.messages), results)

    def _material(self) -> Material:
        """Return what the next answer may point to."""
        run_id, steps = self._run["id"], self._journal.steps
        before = sum(message["run_id"] != run_id for message in self._journal.messages)
        return Material(
            citation.sources(steps, before), tool_paths.made(steps), self._new_pictures()
        )

    def _new_pictures(self) -> list[str]:
        """Return the pictures that were made since the run's last message."""
        made: list[str] = []
        for step in self._journal.steps:
            if step["type"] == "message_creation":
                made = []
            for call in step["details"].get("tool_calls", ()):
                outputs = call.get("code_interpreter", {}).get("outputs", ())
                made += [one["image"]["file_id"] for one in outputs if one["type"] == "image"]
        return made

    def _check(self, choice: Choice) -> None:
        """Fail closed on what breaks a promise; what our own tools are called with they check."""
        for call in choice.calls:
            offered = {tool.function.name for tool in self._offer.tools}
            if call.name not in offered or not self._may_call:
                raise InternalServerError(
                    f"The model called a tool that it was not offered: '{call.name[:64]}'.",
                    code="invalid_model_output",
                )
        kinds = {self._offer.kind(call.name) for call in choice.calls}
        if not kinds or "function" in kinds:
            choice.check()

    def _spent(self) -> bool:
        most = self._run["max_completion_tokens"]
        return most is not None and self._run["completion_tokens"] >= most

    def _context(self) -> Context:
        run = self._run
        principal = Principal(
            key_id=run["api_key_id"],
            kind="project",
            organization_id=run["organization_id"],
            project_id=run["project_id"],
            user_id=run["user_id"],
        )
        return Context(self._services, principal, "createRun", run["id"])


def _fault(error: Exception) -> dict[str, str]:
    """Return the ``last_error`` of a run that failed so."""
    match error:
        case RateLimitError():
            return run_end.fault("rate_limit_exceeded", error.message)
        case BadRequestError():
            return run_end.fault("invalid_prompt", error.message)
        case APIError():
            return run_end.fault("server_error", error.message)
        case _:
            fields = {"frames": traceback.format_tb(error.__traceback__)}
            log.error("run failed: %s", type(error).__qualname__, extra={"fields": fields})
            return run_end.fault("server_error", "Sorry, something went wrong.")
