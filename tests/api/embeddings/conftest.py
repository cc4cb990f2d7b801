"""A server whose embedding ids are answered by the hashing engine."""

import base64
import struct
from dataclasses import dataclass

import pytest

from servers import InProcess, in_process, scripted

SMALL = "text-embedding-3-small"


def decoded(text):
    """Return the float32 values of a base64 embedding."""
    raw = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


@dataclass
class Embeddings:
    """A server and the two ways to ask it."""

    server: InProcess

    async def answer(self, given, *, model=SMALL, **more):
        """Return the answer to a request that must succeed."""
        body = {"model": model, "input": given, **more}
        answer = await self.server.client.post("/v1/embeddings", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def vectors(self, given, **more):
        """Return the vectors of an answer, in the order of its ``data``."""
        answer = await self.answer(given, **more)
        assert [each["index"] for each in answer["data"]] == list(range(len(answer["data"])))
        return [each["embedding"] for each in answer["data"]]

    async def refused(self, given, *, model=SMALL, status=400, **more):
        """Return the error of a request that must be refused with ``status``."""
        body = {"model": model, "input": given, **more}
        answer = await self.server.client.post("/v1/embeddings", json=body, sends_invalid=True)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]


@pytest.fixture(scope="session")
async def embeddings(tmp_path_factory):
    hashing = {"backend": "api.embeddings.hashing:HashEngine", "kind": "embedding"}
    models = {**scripted(), "hashing": hashing}
    folder = tmp_path_factory.mktemp("embeddings")
    async with in_process(folder, models=models, default_embedding_model="hashing") as server:
        yield Embeddings(server)
