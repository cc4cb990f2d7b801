"""Assistants, threads and runs for tests, on a scripted engine."""

import asyncio
from dataclasses import dataclass
from typing import Any

from checking import named_events_of
from servers import InProcess

ENDED = ("completed", "failed", "incomplete", "expired", "cancelled", "requires_action")
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
DATE = {"type": "function", "function": {"name": "date"}}


@dataclass
class House:
    """A server whose model answers by script, and what tests do with it."""

    server: InProcess

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.server.client.post(f"/v1{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.server.client.get(f"/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, status: int = 400, **body: Any) -> dict[str, Any]:
        answer = await self.server.client.post(f"/v1{path}", json=body, sends_invalid=True)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]

    async def assistant(self, **fields: Any) -> str:
        return (await self.post("/assistants", **{"model": "gpt-4o", **fields}))["id"]

    async def thread(self, *said: str) -> str:
        messages = [{"role": "user", "content": text} for text in said or ("Hello",)]
        return (await self.post("/threads", messages=messages))["id"]

    async def begun(self, *said: str, thread: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return a run that has just been created."""
        run_fields = {name: fields.pop(name) for name in list(fields) if name not in ASSISTANTS_OWN}
        assistant = await self.assistant(**fields)
        thread = thread or await self.thread(*said)
        return await self.post(f"/threads/{thread}/runs", assistant_id=assistant, **run_fields)

    async def run(self, *said: str, **fields: Any) -> dict[str, Any]:
        """Return a run that has ended or waits for outputs."""
        return await self.settled(await self.begun(*said, **fields))

    async def settled(self, run: dict[str, Any], *statuses: str) -> dict[str, Any]:
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        async with asyncio.timeout(60):
            while (now := await self.get(path))["status"] not in (statuses or ENDED):
                await asyncio.sleep(0.005)
        return now

    async def steps(self, run: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/steps?order=asc{query}"
        return (await self.get(path))["data"]

    async def messages(self, thread: str) -> list[dict[str, Any]]:
        return (await self.get(f"/threads/{thread}/messages?order=asc"))["data"]

    async def said(self, thread: str) -> str:
        """Return the text of the newest message."""
        newest = (await self.messages(thread))[-1]
        return "".join(p["text"]["value"] for p in newest["content"] if p["type"] == "text")

    async def cancel(self, run: dict[str, Any]) -> dict[str, Any]:
        path = f"/v1/threads/{run['thread_id']}/runs/{run['id']}/cancel"
        answer = await self.server.client.post(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def submit(self, run: dict[str, Any], *outputs: str, **fields: Any) -> dict[str, Any]:
        return await self.post(_submit_path(run), **_outputs(run, outputs), **fields)

    async def streamed(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Return the events of a stream, as name and object."""
        answer = await self.server.client.post(f"/v1{path}", json={**body, "stream": True})
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("event: done\ndata: [DONE]\n\n")
        return named_events_of(answer)

    async def stream_run(self, *said: str, **fields: Any) -> list[dict[str, Any]]:
        run_fields = {name: fields.pop(name) for name in list(fields) if name not in ASSISTANTS_OWN}
        assistant, thread = await self.assistant(**fields), await self.thread(*said)
        path = f"/threads/{thread}/runs"
        return await self.streamed(path, assistant_id=assistant, **run_fields)

    async def stream_submit(self, run: dict[str, Any], *outputs: str) -> list[dict[str, Any]]:
        return await self.streamed(_submit_path(run), **_outputs(run, outputs))

    def engine(self) -> Any:
        """Return the scripted engine."""
        return self.server.server.registry.find("scripted").text._engine


# Fields that tests give for the assistant; the others are the run's.
ASSISTANTS_OWN = ("tools", "instructions", "name", "tool_resources")


def _submit_path(run: dict[str, Any]) -> str:
    return f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"


def _outputs(run: dict[str, Any], outputs: tuple[str, ...]) -> dict[str, Any]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    paired = zip(calls, outputs, strict=True)
    return {"tool_outputs": [{"tool_call_id": c["id"], "output": text} for c, text in paired]}
