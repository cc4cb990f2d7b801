"""The calls of a turn: written down, then made by us, or asked of the client."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Services
from freehold.core.ids import new_id
from freehold.resources.chat.choice import Call
from freehold.resources.threads import stream, tool_code, tool_offer, tool_search
from freehold.resources.threads.run_journal import Journal
from freehold.resources.threads.tool_offer import Kind, Offer

EXPIRY = "runs.expire"


class Calls:
    """The calls of one run."""

    def __init__(self, services: Services, journal: Journal, offer: Offer) -> None:
        self._services = services
        self._journal = journal
        self._offer = offer
        self._interpreter = tool_code.Interpreter(services, journal.run, journal.thread)

    async def record(self, calls: Sequence[Call], used: tuple[int, int]) -> None:
        """Write down what the model calls, before any call is made."""
        shown = [
            tool_offer.made(self._offer.kind(call.name), call.id, call.name, call.arguments)
            for call in calls
        ]
        made = [
            {"id": call.id, "name": call.name, "arguments": call.arguments, "output": None}
            for call in calls
        ]
        await self._journal.record_calls(shown, made, used)

    async def search_first(self, question: str) -> None:
        """Search for a question on our own: its step says what was found, as any other's."""
        step_id = await self._journal.open_calls()
        name, call_id = self._offer.name("file_search"), new_id("tool_call")
        begun = tool_offer.begun("file_search", call_id, name)
        self._send(step_id, {"index": 0, **begun})
        arguments = json.dumps({"queries": [question]})
        call = {"id": call_id, "name": name, "arguments": arguments, "output": None}
        await self._journal.record_calls([begun], [{**call, "by": "server"}], (0, 0))
        await self.make()

    async def run_written(self, code: str) -> None:
        """Run code that the model wrote as text: as a call of its own."""
        step_id = await self._journal.open_calls()
        name, call_id = self._offer.name("code_interpreter"), new_id("tool_call")
        arguments = json.dumps({"code": code}, ensure_ascii=False)
        shown = tool_offer.made("code_interpreter", call_id, name, arguments)
        self._send(step_id, {"index": 0, **shown})
        call = {"id": call_id, "name": name, "arguments": arguments, "output": None}
        await self._journal.record_calls([shown], [call], (0, 0))
        await self.make()

    async def make(self) -> bool:
        """Make the calls that are ours; return whether all have their outputs by then."""
        step = self._journal.calls
        if step is None:
            return True
        waiting: list[dict[str, Any]] = []
        for place, call in enumerate(step["calls"]):
            kind = self._offer.kind(call["name"])
            if call["output"] is not None:
                continue
            if kind == "function":
                waiting.append(call)
            else:
                await self._make(step["id"], place, kind, call)
        if not waiting:
            await self._journal.close_calls()
            return True
        await self._journal.require_outputs([_asked(call) for call in waiting], self._expire)
        return False

    async def _make(self, step_id: str, place: int, kind: Kind, call: Mapping[str, Any]) -> None:
        if kind == "file_search":
            await self._search(step_id, place, call)
        else:
            await self._run_code(step_id, place, call)

    async def _search(self, step_id: str, place: int, call: Mapping[str, Any]) -> None:
        run, thread = self._journal.run, self._journal.thread
        queries = tool_offer.queries_of(call["arguments"])
        found = await tool_search.call(self._services, run, thread, call["id"], queries)
        await self._journal.answer_call(place, found.shown, {"output": found.told})
        search = self._journal.shown_search(found.shown)
        self._send(step_id, {"index": place, "type": "file_search", "file_search": search})

    async def _run_code(self, step_id: str, place: int, call: Mapping[str, Any]) -> None:
        def send(output: dict[str, Any]) -> None:
            piece = {"index": place, "type": "code_interpreter"}
            self._send(step_id, {**piece, "code_interpreter": {"outputs": [output]}})

        code = tool_offer.code_of(call["arguments"])
        shown = {"id": call["id"], "type": "code_interpreter"}
        if code is None:
            ran = tool_code.Ran(error='The code interpreter was called without {"code": "..."}.')
        else:
            ran = await self._interpreter.call(code, send)
        shown["code_interpreter"] = {"input": code or "", "outputs": ran.outputs}
        said = {"output": ran.told(), "files": ran.files}
        await self._journal.answer_call(place, shown, said)

    def _send(self, step_id: str, call: dict[str, Any]) -> None:
        self._journal.send(stream.step_delta(step_id, [call]))

    def _expire(self, connection: Connection) -> None:
        """See that the run ends where nobody submits the outputs in time."""
        run = self._journal.run
        jobs = self._services.jobs
        jobs.enqueue(connection, EXPIRY, {}, key=run["id"], run_at=run["expires_at"])


def _asked(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}
