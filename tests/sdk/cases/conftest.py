"""Fixtures of the cases, which run inside a client's own environment."""

import json
import os
from pathlib import Path

import openai
import pytest
from given import Seen


def pytest_runtest_logreport(report):
    """Write how a case ended for the suite outside, one JSON line each."""
    results = os.environ.get("CASE_RESULTS")
    if not results or (report.when != "call" and report.passed):
        return
    line = {"case": report.nodeid, "passed": report.passed, "report": report.longreprtext}
    with Path(results).open("a") as file:
        file.write(json.dumps(line) + "\n")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def client():
    """Return a client that never tries again, so that nothing hides behind a second try."""
    with openai.OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client():
    async with openai.AsyncOpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def seen():
    """Return a client with the usual retries, and what it sent."""
    seen = Seen()
    http = openai.DefaultHttpxClient(event_hooks={"request": [seen.requests.append]})
    with openai.OpenAI(http_client=http) as seen.client:
        yield seen
