"""A server whose moderation ids are answered by the engine of words."""

from dataclasses import dataclass

import pytest

from servers import InProcess, in_process, scripted

WORDS = {"backend": "api.moderations.words:WordsEngine", "kind": "moderation"}
IDS = ("omni-moderation-2024-09-26", "text-moderation-007")


@dataclass
class Moderations:
    """A server and the two ways to ask it."""

    server: InProcess

    async def answer(self, given, **more):
        """Return the answer to a request that must succeed."""
        answer = await self.server.client.post("/v1/moderations", json={"input": given, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def results(self, given, **more):
        return (await self.answer(given, **more))["results"]

    async def refused(self, given, *, status=400, **more):
        """Return the error of a request that must be refused with ``status``."""
        body = {"input": given, **more}
        answer = await self.server.client.post(
            "/v1/moderations", json=body, sends_invalid=status < 500
        )
        assert answer.status_code == status, answer.text
        return answer.json()["error"]

    async def asked(self, model=IDS[0]):
        """Return the texts that the engine of a model was asked about."""
        registry = self.server.server.registry
        return (await registry.find(model).moderation.ensure_loaded()).asked


@pytest.fixture
async def moderations(tmp_path):
    async with in_process(tmp_path, models={**scripted(), **dict.fromkeys(IDS, WORDS)}) as server:
        yield Moderations(server)
