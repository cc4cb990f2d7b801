"""Weights merged with our adapter: made once, the same everywhere, and as good as the two apart."""

import asyncio
import hashlib
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

import adapters
from freehold.cli import fetch
from freehold.engines import adapted, weights
from freehold.engines.adapted_numbers import F32, Q4_1, Q8_0, as_q8_0, floats
from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import EngineConfig, EngineLoadError, Generation, Sampling
from freehold.engines.budget import MemoryBudget
from freehold.engines.gguf import Tensor, entry
from freehold.engines.holder import Holder
from freehold.engines.loading import LLAMA, EngineSpec, Loader
from freehold.engines.weights import AdapterRow, WeightsRow, WeightsStore
from servers import TINY

SOURCE = "hf:org/tiny:model.gguf"
DIGEST = hashlib.sha256(TINY.read_bytes()).hexdigest()
QUESTION = "The weather today is"


@pytest.fixture
def adapter(tmp_path):
    return adapters.random(tmp_path / "package" / "tiny.gguf", TINY)


@pytest.fixture
def store(tmp_path, monkeypatch, adapter):
    """Return a store that has the tiny model as weights with an adapter of the package."""
    row = WeightsRow(
        name="tiny",
        source=SOURCE,
        sha256=DIGEST,
        size=TINY.stat().st_size,
        licence="Apache-2.0",
        adapter=AdapterRow(file=adapter.name, licence="CC-BY-4.0"),
    )
    monkeypatch.setattr(weights, "rows", lambda: (row,))
    monkeypatch.setattr(
        adapted,
        "packaged",
        lambda file: found if (found := adapter.parent / file).is_file() else None,
    )
    pulled = tmp_path / "state" / "weights" / "hf" / "org" / "tiny" / "model.gguf"
    pulled.parent.mkdir(parents=True)
    shutil.copy(TINY, pulled)
    return WeightsStore(tmp_path / "state")


@pytest_asyncio.fixture
async def say(tmp_path):
    """Return a function that loads weights and gives the likeliest continuation."""
    engines = []

    async def answer(path, **options):
        config = EngineConfig(
            "tiny", tmp_path / "run", weights=path, slots=1, context=256, threads=1, options=options
        )
        engines.append(await LlamaEngine.load(config))
        request = Generation(QUESTION, Sampling(max_tokens=12, temperature=0, logprobs=0))
        events = [event async for group in engines[-1].generate(request) for event in group]
        drawn = [one for event in events[:-1] for one in event.logprobs]
        return "".join(one.token for one in drawn), np.array([one.logprob for one in drawn])

    yield answer
    for engine in engines:
        await engine.close()


def lora(path, scale=1.0):
    return {"lora": [{"path": str(path), "scale": scale}]}


async def test_the_merged_file_answers_as_the_two_apart(store, adapter, say):
    merged_text, merged = await say(store.served("tiny"))
    apart_text, apart = await say(TINY, **lora(adapter))
    base_text, base = await say(TINY)
    assert merged_text == apart_text
    # Rounding to Q8_0 once more moves the figures a little; the adapter moves them far.
    assert np.abs(merged - apart).max() < 0.1
    assert base_text != merged_text or np.abs(merged - base).max() > 0.1


async def test_an_adapter_of_the_users_own_acts_on_top(store, adapter, say, tmp_path):
    own = adapters.random(tmp_path / "own.gguf", TINY, strength=0.1, seed=7, only=".ffn_up.")
    served = store.served("tiny")
    both = {"lora": [{"path": str(adapter), "scale": 1.0}, {"path": str(own), "scale": 1.0}]}
    stacked_text, stacked = await say(served, **lora(own))
    apart_text, apart = await say(TINY, **both)
    _, without = await say(served)
    assert stacked_text == apart_text
    assert np.abs(stacked - apart).max() < 0.1
    assert np.abs(stacked[:1] - without[:1]).max() > 0.1


def test_it_is_made_once_and_found_again_without_reading_it(store, monkeypatch):
    made = store.served("tiny")
    for name in ("make", "_run"):
        monkeypatch.setattr(adapted, name, lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(weights, "digest_of", lambda *_: pytest.fail("read again"))
    assert store.served("tiny") == made


def test_the_same_files_give_the_same_bytes(store, tmp_path):
    first = store.served("tiny").read_bytes()
    shutil.rmtree(tmp_path / "state" / "weights" / "adapted")
    assert store.served("tiny").read_bytes() == first


def test_a_new_adapter_makes_a_new_file_and_the_old_one_goes(store, adapter):
    old = store.served("tiny")
    adapters.random(adapter, TINY, seed=1)
    new = store.served("tiny")
    assert new != old
    assert not old.exists()
    assert [w.name for w in store.installed()] == ["tiny", "tiny with its adapter"]


def test_without_an_adapter_in_the_package_weights_are_served_as_they_are(store, adapter):
    adapter.unlink()
    assert store.served("tiny") == store.path("tiny")


def test_weights_named_by_their_source_are_served_as_they_are(store):
    assert store.served(SOURCE, DIGEST) == store.path("tiny")


def test_what_is_damaged_is_told_and_a_forced_pull_lets_it_be_made_again(store, monkeypatch):
    made = store.served("tiny")
    sound = made.read_bytes()
    with made.open("r+b") as file:
        file.write(b"X")
    with pytest.raises(EngineLoadError, match=r"models pull --force tiny"):
        store.verify("tiny")
    monkeypatch.setattr(WeightsStore, "_fetch", lambda *_: None)  # the weights themselves are there
    store.pull("tiny", force=True)
    assert store.served("tiny").read_bytes() == sound
    store.verify("tiny")


def test_a_changed_file_is_made_again_at_load(store):
    made = store.served("tiny")
    sound = made.read_bytes()
    made.write_bytes(b"cut short")
    assert store.served("tiny").read_bytes() == sound


def test_damaged_weights_are_never_merged(store):
    store.path("tiny").write_bytes(b"GGUF something else")
    with pytest.raises(EngineLoadError, match="damaged"):
        store.served("tiny")
    assert not list(store._folder.glob("adapted/*"))


def test_progress_is_told_up_to_the_whole(store):
    seen = []
    store.served("tiny", progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1][0] == pytest.approx(seen[-1][1], rel=0.01)


@pytest.mark.parametrize("fault", ["kind", "name", "shape", "half"])
def test_an_adapter_for_other_weights_is_refused_and_nothing_is_left(store, adapter, fault):
    a, b = np.ones((4, 32)), np.ones((32, 4))
    parts = {
        "kind": {},
        "name": {"blk.99.attn_q.weight.lora_a": a, "blk.99.attn_q.weight.lora_b": b},
        "shape": {"blk.0.attn_q.weight.lora_a": a, "blk.0.attn_q.weight.lora_b": b},
        "half": {"blk.0.attn_q.weight.lora_a": a},
    }[fault]
    adapters.write(adapter, parts, kind="other" if fault == "kind" else "lora")
    with pytest.raises(EngineLoadError, match=r"can't be merged .*(no LoRA|does not fit)"):
        store.served("tiny")
    assert not list(store._folder.glob("adapted/*"))


def test_a_folder_that_can_not_be_written_is_told(store, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(EngineLoadError, match="Permission denied"):
        store.served("tiny")


def test_numbers_are_read_and_written_as_the_format_has_them():
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(3, 64)).astype(np.float32)
    again = floats(np.frombuffer(as_q8_0(numbers), np.uint8), Q8_0).reshape(3, 64)
    step = np.abs(numbers.reshape(-1, 32)).max(axis=1).repeat(32).reshape(3, 64) / 127
    assert (np.abs(again - numbers) <= step * 0.51).all()
    assert as_q8_0(np.zeros((1, 32), np.float32)) == bytes(34)
    block = struct.pack("<ee16B", 0.5, -1.0, *(low + 16 * (15 - low) for low in range(16)))
    expected = [0.5 * n - 1 for n in range(16)] + [0.5 * (15 - n) - 1 for n in range(16)]
    assert floats(np.frombuffer(block, np.uint8), Q4_1).tolist() == expected


def test_q4_1_becomes_q8_0_and_norms_stay(tmp_path):
    """A model of two tensors: a matrix in Q4_1 and a norm in F32."""
    norm = np.arange(32, dtype="<f4").tobytes()
    matrix = struct.pack("<ee16B", 0.25, 1.0, *range(16)) * 32
    tensors = [Tensor("blk.0.attn_q.weight", (32, 32), Q4_1, 0), Tensor("n", (32,), F32, 640)]
    fact = struct.pack("<Q17sII", 17, b"general.file_type", 4, 3)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 2, 1) + fact + b"".join(map(entry, tensors))
    base = tmp_path / "base.gguf"
    base.write_bytes(head + bytes(-len(head) % 32) + matrix + norm)
    none = adapters.write(tmp_path / "none.gguf", {})
    adapted.make(base, none, tmp_path / "out.gguf", lambda *_: None)
    out = adapters.head_of(tmp_path / "out.gguf")
    assert [tensor.kind for tensor in out.tensors] == [Q8_0, F32]
    assert out.facts["general.file_type"] == 7
    data = (tmp_path / "out.gguf").read_bytes()[out.data :]
    assert data[out.tensors[1].offset :].startswith(norm)
    before = floats(np.frombuffer(matrix, np.uint8), Q4_1)
    after = floats(np.frombuffer(data[: 34 * 32], np.uint8), Q8_0)
    assert np.abs(after - before).max() < 0.02


def test_the_program_tells_a_file_that_is_no_weights(tmp_path):
    (tmp_path / "x").write_bytes(b"no GGUF at all, but long enough to have a head")
    command = [sys.executable, "-m", "freehold.engines.adapted_child", *[str(tmp_path / "x")] * 3]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "no GGUF file" in ended.stderr


async def test_a_first_load_without_a_pull_merges_while_others_are_answered(
    store, tmp_path, monkeypatch
):
    begun, enough, make = threading.Event(), threading.Event(), adapted.make

    def held_up(*given):
        begun.set()
        assert enough.wait(timeout=20)
        make(*given)

    monkeypatch.setattr(adapted, "make", held_up)
    loader = Loader(store, tmp_path / "run", MemoryBudget(10**9))
    spec = EngineSpec("chat", LLAMA, "tiny", "tiny", slots=1, context=256, threads=1)
    holder = Holder(lambda: loader.load(spec, holder, None), queue_limit=1)
    loading = asyncio.create_task(holder.ensure_loaded())
    while not begun.is_set():
        await asyncio.sleep(0.01)
    assert not loading.done()  # and this very test runs on
    enough.set()
    try:
        assert (await loading)._child.weights == store.served("tiny")
    finally:
        await holder.close()


def test_pull_makes_the_file_that_will_be_served(store, tmp_path, capsys):
    fetch.weights(tmp_path / "state", "tiny", None)
    served = store.served("tiny")
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(f"checked, at {store.path('tiny')}")
    assert said[1].startswith("tiny with its adapter: ")
    assert said[1].endswith(f"at {served}")
