"""Models that only the sentence-transformers library runs, against their arithmetic in numpy."""

import contextlib
import importlib.util
import json

import numpy as np
import pytest

from freehold.core.errors import BadRequestError
from freehold.engines.backends.minilm import MiniLMEngine
from freehold.engines.backends.sentence import SentenceEngine
from freehold.engines.base import EngineConfig, EngineLoadError
from tiny_bert import CONFIG, WINDOW, Reference, write_safetensors, write_tiny

TEXTS = ["The cat sat.", "a", "dogs ate the long, red mat and its stones."]
NARROW = 8
INSTALLED = importlib.util.find_spec("sentence_transformers") is not None
with_extra = pytest.mark.skipif(
    not INSTALLED, reason="the extra `sentence-transformers` is not installed"
)


def narrow(folder):
    """Add a part to the model in the folder that makes its vectors narrower; returns its arrays."""
    parts = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(parts.items())
    ]
    wide = CONFIG["hidden_size"]
    pooling = {"word_embedding_dimension": wide, "pooling_mode_mean_tokens": True}
    activation = "torch.nn.modules.activation.Tanh"
    dense = {"in_features": wide, "out_features": NARROW, "activation_function": activation}
    for path in ("1_Pooling", "2_Dense"):
        (folder / path).mkdir()
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "2_Dense" / "config.json").write_text(json.dumps({**dense, "bias": True}))
    chance = np.random.default_rng(3)
    weight = chance.standard_normal((NARROW, wide)).astype(np.float32)
    bias = chance.standard_normal(NARROW).astype(np.float32)
    arrays = {"linear.weight": weight, "linear.bias": bias}
    write_safetensors(folder / "2_Dense" / "model.safetensors", arrays)
    return arrays


@pytest.fixture(scope="module")
def narrowing(tmp_path_factory):
    """Return a model with a part after its pooling: its weights and those of that part."""
    weights = write_tiny(tmp_path_factory.mktemp("narrowing"))
    return weights, narrow(weights.parent)


@contextlib.asynccontextmanager
async def loaded(weights, folder):
    engine = await SentenceEngine.load(EngineConfig("m", folder, weights=weights))
    try:
        yield engine
    finally:
        await engine.close()


@with_extra
async def test_every_part_of_a_model_is_computed(narrowing, tmp_path):
    weights, dense = narrowing
    reference = Reference(weights)
    means = [reference.hidden(reference.tokenizer.encode(t).ids).mean(axis=0) for t in TEXTS]
    expected = np.tanh(np.stack(means) @ dense["linear.weight"].T + dense["linear.bias"])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    async with loaded(weights, tmp_path) as engine:
        embedded = await engine.embed(TEXTS)
        assert engine.dimensions == NARROW
        assert engine.status().window == WINDOW
    assert embedded.vectors == pytest.approx(expected, abs=1e-4)
    assert embedded.tokens == (4, 1, 13)


@with_extra
async def test_long_inputs_are_pooled_windows_and_tokens_are_checked(narrowing, tmp_path):
    async with loaded(narrowing[0], tmp_path) as engine:
        embedded = await engine.embed(["the long river " * 20, [4, 5]])
        assert embedded.tokens == (60, 2)
        assert np.linalg.norm(embedded.vectors, axis=1) == pytest.approx(1, abs=1e-5)
        with pytest.raises(BadRequestError, match="no token ID 999"):
            await engine.embed([[999]])


async def test_the_engine_without_torch_refuses_such_a_model(narrowing, tmp_path):
    with pytest.raises(EngineLoadError, match="parts of other kinds: Dense"):
        await MiniLMEngine.load(EngineConfig("m", tmp_path, weights=narrowing[0]))


@with_extra
async def test_a_folder_without_a_model_is_a_clear_error(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"x")
    with pytest.raises(EngineLoadError, match="sentence-transformers can't run them"):
        await SentenceEngine.load(EngineConfig("m", tmp_path, weights=weights))


@pytest.mark.skipif(INSTALLED, reason="the extra is installed")
async def test_without_the_extra_its_name_is_told(tmp_path):
    weights = write_tiny(tmp_path / "model")
    with pytest.raises(EngineLoadError, match=r"pip install 'freehold\[sentence-transformers\]'"):
        await SentenceEngine.load(EngineConfig("m", tmp_path, weights=weights))
