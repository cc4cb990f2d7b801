"""Requests that schemathesis makes from our own description never break the server.

About 3,300, of a fixed seed: whatever is sent, the answer is one that the description allows.
"""

import contextlib
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import tiny_bert
from checking import (
    BYTES,
    JSON,
    SSE,
    MismatchError,
    StreamCheck,
    check_response,
)
from freehold.data import document
from fuzz.description import OPERATIONS, described
from sdk import environments
from servers import TINY_CONFIG, live

pytestmark = pytest.mark.timeout(900)

SENDER = Path(__file__).parent / "sender.py"
LIMIT_S = 800
FEWEST = 3_000
# What is truly said where a picture comes and the weights that look at it are not there.
UNLOADED = '"code":"model_not_loaded"'
MODERATION = """
[models.omni-moderation-2024-09-26]
backend = "api.moderations.words:WordsEngine"
kind = "moderation"
"""


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory):
    """Return every exchange with a live server on the tiny models."""
    try:
        python = environments.python("schemathesis")
    except environments.NoEnvironmentError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"schemathesis can't be installed here: {error}")
    folder = tmp_path_factory.mktemp("fuzz")
    description, results = folder / "description.json", folder / "exchanges.jsonl"
    description.write_text(json.dumps(described()))
    config = 'default_embedding_model = "text-embedding-3-small"\n'
    config += TINY_CONFIG + tiny_bert.binding(folder / "embedder") + MODERATION
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("PYTHONPATH", str(SENDER.parents[1]))
        server = stack.enter_context(live(folder / "server", config))
        done = subprocess.run(
            [python, SENDER, description, server.base_url, server.key, results],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in results.read_text().splitlines()]


def test_every_operation_is_fuzzed(exchanges):
    assert {each["operation"] for each in exchanges} == set(OPERATIONS)
    assert len(exchanges) >= FEWEST


def test_many_requests_reach_the_engines(exchanges):
    answered = Counter(each["operation"] for each in exchanges if each["status"] == 200)
    for name in ("createChatCompletion", "createCompletion", "createEmbedding"):
        assert answered[name] >= 60, answered


def test_some_requests_make_files_uploads_and_batches(exchanges):
    answered = Counter(each["operation"] for each in exchanges if each["status"] == 200)
    for name in ("createModeration", "createFile", "createUpload", "addUploadPart", "createBatch"):
        assert answered[name] >= 10, answered


def test_some_requests_make_what_assistants_need(exchanges):
    answered = Counter(each["operation"] for each in exchanges if each["status"] == 200)
    for name in (
        "createAssistant",
        "createMessage",
        "createThread",
        "createThreadAndRun",
        "createVectorStore",
        "createVectorStoreFile",
        "searchVectorStore",
    ):
        assert answered[name] >= 5, answered


def test_no_answer_is_a_failure_of_the_server(exchanges):
    failures = [each for each in exchanges if each["status"] >= 500]
    broken = [told(each) for each in failures if UNLOADED not in each["answer"]]
    assert not broken, "\n".join(broken[:20])


def test_every_answer_is_one_of_the_description(exchanges):
    faults = [f"{fault}\n{told(each)}" for each in exchanges if (fault := fault_of(each))]
    assert not faults, "\n".join(faults[:20])


def told(exchange):
    """Return what is needed to send the request again."""
    sent = f"{exchange['method']} {exchange['url']} {exchange['body'][:2000]}"
    return f"{sent}\n  -> {exchange['status']} {exchange['answer'][:1000]}"


def fault_of(exchange):
    """Return why the description does not allow the answer, None where it does."""
    try:
        _check(exchange)
    except (MismatchError, ValueError) as fault:
        return str(fault)
    return None


def _check(exchange):
    operation = document.operation(exchange["operation"])
    kind = exchange["content_type"].partition(";")[0]
    if kind == SSE and exchange["status"] == 200:
        StreamCheck(operation).take_all(exchange["answer"])
        return
    if exchange["operation"] in BYTES and exchange["status"] == 200:
        return
    body = json.loads(exchange["answer"]) if kind == JSON else None
    check_response(operation, exchange["status"], exchange["content_type"], body)
