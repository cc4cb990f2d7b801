"""Options of llama.cpp act on a loaded engine."""

import pytest
import pytest_asyncio

from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import Done, EngineConfig, EngineLoadError, Generation, Sampling
from servers import TINY

TRAINED_CONTEXT = 1024


@pytest_asyncio.fixture
async def load(tmp_path):
    engines = []

    async def begin(options, context=512):
        config = EngineConfig(
            "tiny", tmp_path, weights=TINY, slots=1, context=context, threads=1, options=options
        )
        engines.append(await LlamaEngine.load(config))
        return engines[-1]

    yield begin
    for engine in engines:
        await engine.close()


async def say(engine, prompt="Hello"):
    """Return the likeliest continuation and its end."""
    request = Generation(prompt=prompt, sampling=Sampling(max_tokens=20, temperature=0))
    events = [event async for group in engine.generate(request) for event in group]
    assert isinstance(events[-1], Done)
    return "".join(event.text for event in events[:-1]), events[-1]


async def test_a_draft_model_changes_nothing_but_the_speed(load):
    plain, drafted = await load({}), await load({"draft": str(TINY), "draft_n_max": 4})
    (text, end), (same, same_end) = await say(plain), await say(drafted)
    assert text == same
    assert end.completion_tokens == same_end.completion_tokens


async def test_quantised_caches_still_answer(load):
    types = {"flash_attn_type": "enabled", "cache_type_k": "q8_0", "cache_type_v": "q8_0"}
    text, _ = await say(await load(types))
    assert text


async def test_rope_settings_open_the_window_past_the_trained_one(load):
    engine = await load({"rope_scaling_type": "yarn", "rope_freq_scale": 0.5}, 2 * TRAINED_CONTEXT)
    _, end = await say(engine, "Hello world " * 512)
    assert end.prompt_tokens > TRAINED_CONTEXT
    assert (await load({}, 2 * TRAINED_CONTEXT)).window == TRAINED_CONTEXT


async def test_a_file_that_is_no_adapter_is_told(load):
    with pytest.raises(EngineLoadError, match="adapter"):
        await load({"lora": [{"path": str(TINY)}]})


async def test_the_engine_tells_its_speed_once_it_has_worked(load):
    engine = await load({})
    assert engine.status().tokens_per_s is None
    await say(engine)
    assert engine.status().tokens_per_s > 1
