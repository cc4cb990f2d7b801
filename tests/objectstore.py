"""An S3-compatible store for tests: moto's server, in this process, on a loopback port."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@dataclass
class Bucket:
    """An empty bucket; ``environ`` is what a program needs to reach it."""

    address: str
    environ: dict[str, str]
    client: Any
    name: str

    def names(self) -> list[str]:
        """Return the names of all objects, without the prefix."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [each["Key"].removeprefix("freehold/") for each in found]

    def unfinished(self) -> list[Any]:
        """Return the multipart uploads that were neither completed nor aborted."""
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """Give the address of a store for the whole session."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give an empty bucket, which this process is set up to reach."""
    environ = {"AWS_ENDPOINT_URL": object_store, **_KEYS}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name="us-east-1")
    name = f"test-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(f"s3://{name}/freehold", environ, client, name)
