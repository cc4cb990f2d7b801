"""The embedding engine: exact vectors, fair batches, and a child that may die."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import BadRequestError, ServiceUnavailableError
from freehold.engines.backends.minilm import MiniLMEngine
from freehold.engines.backends.minilm_batches import Batches, Job, Window
from freehold.engines.backends.windows import OVERLAP, split
from freehold.engines.base import EngineConfig, EngineLoadError
from freehold.engines.weights import WeightsStore
from tiny_bert import WINDOW, Reference, write_tiny

SHORT = ["The cat sat.", "a", "dogs ate the long, red mat and its stones.", "unknown words", " "]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def pulled():
    """Return the built-in weights that ``make test`` pulled."""
    store = WeightsStore(Path(os.environ.get("FREEHOLD_TEST_WEIGHTS", "/nonexistent")))
    try:
        return store.path("all-minilm-l6-v2")
    except EngineLoadError:
        pytest.skip("the built-in weights are not there: `make test` pulls them")


@contextlib.asynccontextmanager
async def loaded(weights, folder, **fields):
    engine = await MiniLMEngine.load(EngineConfig("m", folder, weights=weights, **fields))
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture
async def engine(tiny, tmp_path):
    async with loaded(tiny, tmp_path) as engine:
        yield engine


def cosines(embedded, vectors):
    assert np.linalg.norm(embedded.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    return (embedded.vectors * np.array(vectors)).sum(axis=1)


async def test_vectors_are_those_of_the_reference_whatever_shares_their_batch(engine, tiny):
    reference = Reference(tiny)
    vectors = [reference.embed(text) for text in SHORT]
    assert min(cosines(await engine.embed(SHORT), vectors)) > 0.99999
    for text, vector in zip(SHORT, vectors, strict=True):
        assert min(cosines(await engine.embed([text]), [vector])) > 0.99999


@pytest.mark.weights
async def test_built_in_vectors_are_those_of_the_reference(pulled, tmp_path):
    texts = [
        "Freehold",
        "The quick brown fox jumps over the lazy dog.",
        "Zażółć gęślą jaźń — ÄÖÜ, 東京 and 🙂",
        "A longer text about rivers, stones and gardens in the morning. " * 8,
    ]
    reference = Reference(pulled)
    async with loaded(pulled, tmp_path) as engine:
        embedded = await engine.embed(texts)
        assert engine.dimensions == 384
        assert engine.status().window == 256
    assert min(cosines(embedded, [reference.embed(text) for text in texts])) > 0.99999


@pytest.mark.weights
async def test_built_in_vectors_tell_what_is_alike(pulled, tmp_path):
    texts = ["How do I reset my password?", "I forgot my login secret.", "Cats sleep all day."]
    async with loaded(pulled, tmp_path) as engine:
        vectors = (await engine.embed(texts)).vectors
    assert vectors[0] @ vectors[1] > 2 * abs(vectors[0] @ vectors[2])


INT8 = {"options": {"precision": "int8"}}


async def test_whole_numbers_give_nearly_the_same_vectors(tiny, tmp_path):
    reference = Reference(tiny)
    async with loaded(tiny, tmp_path, **INT8) as engine:
        embedded = await engine.embed(SHORT)
    assert min(cosines(embedded, [reference.embed(text) for text in SHORT])) > 0.99
    assert embedded.vectors != pytest.approx(
        np.stack([reference.embed(text) for text in SHORT]), abs=1e-5
    )


@pytest.mark.weights
async def test_built_in_vectors_in_whole_numbers_are_near_those_of_the_reference(pulled, tmp_path):
    texts = ["How do I reset my password?", "The quick brown fox jumps over the lazy dog.", "Aß 🙂"]
    reference = Reference(pulled)
    async with loaded(pulled, tmp_path, **INT8) as engine:
        embedded = await engine.embed(texts)
    assert min(cosines(embedded, [reference.embed(text) for text in texts])) > 0.97


async def test_tokens_are_counted_without_marks_and_cuts(engine):
    texts = ["The cat sat.", "cat " * 100, ""]
    assert (await engine.embed(texts)).tokens == (4, 100, 0)
    assert await engine.count_tokens(texts) == [4, 100, 0]


async def test_long_inputs_are_the_mean_of_overlapping_windows(engine, tiny):
    reference = Reference(tiny)
    text = "the long river and a red house , " * 9
    tokens = reference.tokenizer.encode(text, add_special_tokens=False).ids
    begin, end = reference.tokenizer.encode("").ids
    windows = split(tokens, WINDOW - 2)
    means = [reference.hidden([begin, *piece, end]).mean(axis=0) for piece in windows]
    vector = np.mean(means, axis=0)
    vector /= np.linalg.norm(vector)
    assert len(windows) > 4
    assert min(cosines(await engine.embed(["a", text]), [reference.embed("a"), vector])) > 0.99999


@given(length=st.integers(0, 3000), room=st.integers(2, 254))
def test_windows_cover_every_token_and_overlap(length, room):
    tokens = list(range(length))
    windows = split(tokens, room)
    assert {token for window in windows for token in window} == set(tokens)
    assert {len(window) for window in windows} == {min(length, room)}
    shared = [one[-1] - other[0] + 1 for one, other in pairwise(windows)]
    assert all(count >= min(OVERLAP, room // 2) for count in shared)


async def test_native_tokens_are_the_same_as_their_text(engine, tiny):
    tokens = Reference(tiny).tokenizer.encode("the cat sat", add_special_tokens=False).ids
    embedded = await engine.embed([tokens, "the cat sat"])
    assert embedded.vectors[0].tolist() == embedded.vectors[1].tolist()
    assert embedded.tokens == (3, 3)


@pytest.mark.parametrize("token", [-1, 10_000])
async def test_a_token_the_model_does_not_have_is_refused(engine, token):
    for ask in (engine.embed, engine.count_tokens):
        with pytest.raises(BadRequestError, match=f"no token ID {token}"):
            await ask([[4], [5, token]])
    assert (await engine.embed(["cat"])).tokens == (1,)


async def test_answers_come_to_those_who_asked(engine):
    alone = [(await engine.embed([text])).vectors[0] for text in SHORT]
    together = await asyncio.gather(*(engine.embed([text]) for text in SHORT * 20))
    for number, embedded in enumerate(together):
        assert embedded.vectors[0] == pytest.approx(alone[number % len(SHORT)], abs=1e-5)


async def test_a_large_request_does_not_hold_up_a_small_one(engine):
    large = asyncio.create_task(engine.embed(["the long red house " * 40] * 2000))
    await asyncio.sleep(0)
    await engine.embed(["cat"])
    assert not large.done()
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large


async def test_a_cancelled_request_leaves_nothing_behind(engine):
    task = asyncio.create_task(engine.embed(["cat " * 4000] * 50))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.status().busy == 0
    assert (await engine.embed(["cat"])).tokens == (1,)


async def test_a_dead_child_fails_its_requests_and_is_replaced(engine):
    task = asyncio.create_task(engine.embed(["cat " * 4000] * 50))
    await asyncio.sleep(0.05)
    os.kill(engine._kept.running.pid, signal.SIGKILL)
    with pytest.raises(ServiceUnavailableError):
        await task
    async with asyncio.timeout(30):
        while engine.status().restarts == 0:
            await asyncio.sleep(0.02)
    assert (await engine.embed(["cat"])).tokens == (1,)


async def test_nothing_is_asked_of_an_engine_that_restarts(engine, monkeypatch):
    monkeypatch.setattr(engine._kept, "_delay_s", 60)
    os.kill(engine._kept.running.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while engine.status().state == "ready":
            await asyncio.sleep(0.02)
    with pytest.raises(ServiceUnavailableError) as caught:
        await engine.embed(["cat"])
    assert caught.value.retry_after >= 1


def test_the_child_ends_with_its_server(tiny, tmp_path):
    program = """
        import asyncio, os, sys
        from pathlib import Path
        from freehold.engines.backends.minilm import MiniLMEngine
        from freehold.engines.base import EngineConfig

        async def main():
            config = EngineConfig("m", Path("."), weights=Path(sys.argv[1]))
            engine = await MiniLMEngine.load(config)
            print(engine._kept.running.pid, flush=True)
            os._exit(9)

        asyncio.run(main())
    """
    server = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tiny)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.returncode == 9, server.stderr
    child = Path("/proc") / server.stdout.strip()
    until = time.monotonic() + 10
    while child.exists() and "State:\tZ" not in (child / "status").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.json", json.dumps({"model_type": "gpt2"}), "no BERT model"),
        ("config.json", "{", "config.json can't be read"),
        ("tokenizer.json", "{}", "tokenizer.json can't be read"),
        ("model.safetensors", "", "no safetensors file"),
        ("model.safetensors", "x" * 100, "no safetensors file"),
    ],
)
async def test_files_that_do_not_fit_are_a_clear_error(tmp_path, file, content, told):
    weights = write_tiny(tmp_path / "model")
    weights.with_name(file).write_text(content)
    with pytest.raises(EngineLoadError, match=told):
        await MiniLMEngine.load(EngineConfig("m", tmp_path, weights=weights))


async def test_models_that_take_the_first_vector_are_known(tmp_path):
    weights = write_tiny(tmp_path / "model")
    (tmp_path / "model" / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    reference = Reference(weights)
    first = reference.hidden(reference.tokenizer.encode("the cat").ids)[0]
    async with loaded(weights, tmp_path) as engine:
        embedded = await engine.embed(["the cat"])
    assert min(cosines(embedded, [first / np.linalg.norm(first)])) > 0.99999


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "max_tokens"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "Dense"),
    ],
)
async def test_models_that_do_more_are_refused(tmp_path, file, content, told):
    weights = write_tiny(tmp_path / "model")
    (tmp_path / "model" / "1_Pooling").mkdir()
    (tmp_path / "model" / file).write_text(json.dumps(content))
    with pytest.raises(EngineLoadError, match=told):
        await MiniLMEngine.load(EngineConfig("m", tmp_path, weights=weights))


async def test_a_missing_tokenizer_is_a_clear_error(tmp_path):
    weights = write_tiny(tmp_path / "model")
    weights.with_name("tokenizer.json").unlink()
    with pytest.raises(EngineLoadError, match=r"tokenizer\.json can't be read"):
        await MiniLMEngine.load(EngineConfig("m", tmp_path, weights=weights))


async def test_a_model_without_weights_says_what_to_name(tmp_path):
    with pytest.raises(EngineLoadError, match=r"name a model\.safetensors"):
        await MiniLMEngine.load(EngineConfig("m", tmp_path))


def job_of(number, sizes):
    job = Job(number, list(sizes), np.zeros((len(sizes), 2), np.float32), len(sizes))
    return job, [Window(job, index, [0] * size) for index, size in enumerate(sizes)]


def drain(batches):
    while batches._heap:
        yield batches.take()


SIZES = st.lists(st.integers(2, 256), min_size=1, max_size=40)


@settings(deadline=None)
@given(requests=st.lists(SIZES, min_size=1, max_size=8))
def test_every_window_is_computed_once_in_batches_within_the_limit(requests):
    batches, wanted = Batches(limit=512), []
    for number, sizes in enumerate(requests):
        _, windows = job_of(number, sizes)
        wanted += windows
        batches.add(windows)
    taken = list(drain(batches))
    assert sorted(map(id, chain.from_iterable(taken))) == sorted(map(id, wanted))
    for batch in taken:
        assert len(batch) * max(len(window.tokens) for window in batch) <= 512


def test_a_later_small_request_is_served_before_the_rest_of_a_large_one():
    batches = Batches(limit=512)
    batches.add(job_of(1, [40] * 2000)[1])
    batches.take()
    small, windows = job_of(2, [40])
    batches.add(windows)
    following = [*batches.take(), *batches.take()]
    assert small in {window.job for window in following}


def test_windows_of_a_cancelled_request_are_not_computed():
    batches = Batches(limit=64)
    gone, windows = job_of(1, [60] * 5)
    batches.add(windows)
    kept, windows = job_of(2, [60])
    batches.add(windows)
    gone.cancelled = True
    assert [window.job for window in batches.take()] == [kept]


def test_texts_of_unlike_length_do_not_share_a_batch():
    batches = Batches(limit=512)
    batches.add(job_of(1, [4, 5, 250])[1])
    assert [len(window.tokens) for window in batches.take()] == [4, 5]
