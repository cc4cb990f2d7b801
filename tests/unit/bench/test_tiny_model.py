import pytest
import tiny_model

from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import Done, EngineConfig, Generation, Sampling


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.gguf"
    tiny_model.write(path)
    return path


def test_the_model_has_about_a_million_parameters(tmp_path):
    assert 900_000 < tiny_model.write(tmp_path / "tiny.gguf") < 1_100_000


def test_the_same_model_is_written_each_time(weights, tmp_path):
    tiny_model.write(tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == weights.read_bytes()


def test_the_tokenizer_is_copied_byte_for_byte(weights):
    given = tiny_model.Head(tiny_model.TOKENIZER.read_bytes()).pairs
    written = tiny_model.Head(weights.read_bytes()).pairs
    names = [name for name in given if name.startswith("tokenizer.")]
    assert names
    assert all(written[name] == given[name] for name in names)


def test_a_file_of_another_format_is_refused():
    with pytest.raises(ValueError, match="not a GGUF file"):
        tiny_model.Head(b"\0" * 64)


async def test_greedy_answers_use_all_their_tokens_and_each_carries_text(weights, tmp_path):
    engine = await LlamaEngine.load(
        EngineConfig("tiny", tmp_path, weights=weights, slots=1, context=512, threads=1)
    )
    request = Generation("river stone window", Sampling(max_tokens=64, temperature=0))
    try:
        events = [event async for group in engine.generate(request) for event in group]
    finally:
        await engine.close()
    *texts, done = events
    assert isinstance(done, Done)
    assert (done.reason, done.completion_tokens) == ("length", 64)
    assert len([event for event in texts if event.text.strip()]) >= 60
