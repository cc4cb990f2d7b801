"""Embedding models that the operator bound: a folder, a GGUF file, another server."""

import asyncio

import numpy as np
import pytest

import tiny_bert
from api.embeddings.conftest import SMALL, Embeddings
from servers import TINY, in_process, live, scripted

TEXTS = ["The cat sat.", "dogs ate the long, red mat and its stones."]
LARGE = "text-embedding-3-large"
SIZE = tiny_bert.CONFIG["hidden_size"]
IDS = ["folder", "file", "server"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_bert.write_tiny(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
async def other(weights, tmp_path_factory):
    """Return a server of its own that the upstream binding asks."""
    config = f"""
default_model = "chat"

[models.chat]
weights = "{TINY}"
slots = 1
context = 256

[models.theirs]
kind = "embedding"
backend = "minilm"
weights = "{weights}"
"""
    running = live(tmp_path_factory.mktemp("other"), config)
    server = await asyncio.to_thread(running.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.fixture(scope="module")
async def bound(weights, other, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bound")
    file = tiny_bert.write_gguf(weights, folder / "tiny.gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER_KEY", other.key)
        models = {
            **scripted(),
            "folder": {"kind": "embedding", "backend": "minilm", "weights": str(weights)},
            "file": {"kind": "embedding", "weights": str(file), "threads": 1},
            "server": {
                "kind": "embedding",
                "base_url": other.base_url,
                "model": "theirs",
                "api_key_env": "OTHER_KEY",
            },
            SMALL: {"kind": "embedding", "weights": str(file), "threads": 1},
        }
        async with in_process(folder, models=models, default_embedding_model="server") as server:
            yield Embeddings(server)


@pytest.mark.parametrize("model", IDS)
async def test_an_own_id_answers_with_the_models_own_vectors(bound, weights, model):
    reference = tiny_bert.Reference(weights)
    vectors = np.array(await bound.vectors(TEXTS, model=model))
    assert vectors.shape == (2, SIZE)
    cosines = (vectors * [reference.embed(text) for text in TEXTS]).sum(axis=1)
    assert min(cosines) > 0.9999


@pytest.mark.parametrize("model", IDS)
async def test_both_forms_and_fewer_numbers_go_through_every_engine(bound, model):
    (whole,) = await bound.vectors(TEXTS[0], model=model)
    packed = await bound.answer(TEXTS[0], model=model, encoding_format="base64")
    assert isinstance(packed["data"][0]["embedding"], str)
    (part,) = await bound.vectors(TEXTS[0], model=model, dimensions=SIZE // 2)
    first = np.array(whole[: SIZE // 2])
    assert part == pytest.approx(first / np.linalg.norm(first), abs=1e-5)
    error = await bound.refused(TEXTS[0], model=model, dimensions=SIZE + 1)
    assert error["param"] == "dimensions"


@pytest.mark.parametrize("model", IDS)
async def test_usage_counts_the_models_tokens(bound, weights, model):
    tokenizer = tiny_bert.Reference(weights).tokenizer
    tokens = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    answer = await bound.answer(TEXTS, model=model)
    assert answer["usage"]["prompt_tokens"] == sum(map(len, tokens))
    assert answer["model"] == model
    same = await bound.vectors(tokens, model=model)
    for one, other in zip(await bound.vectors(TEXTS, model=model), same, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(("model", "size"), [(SMALL, 1536), (LARGE, 3072)])
async def test_ids_of_openai_keep_their_size_on_any_engine(bound, weights, model, size):
    """One id is bound to the GGUF file, the other falls to the default: the other server."""
    (vector,) = await bound.vectors(TEXTS[0], model=model)
    expected = tiny_bert.Reference(weights).embed(TEXTS[0])
    assert vector[SIZE:] == [0.0] * (size - SIZE)
    assert vector[:SIZE] @ expected > 0.9999


@pytest.mark.parametrize("model", IDS)
async def test_a_token_that_the_model_does_not_have_is_refused(bound, model):
    error = await bound.refused([[3, 100_000]], model=model)
    assert error["message"].startswith("Invalid 'input'")
    assert error["param"] == "input"
