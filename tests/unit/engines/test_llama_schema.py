"""A schema that is shown to the model counts as any other part of its prompt."""

from importlib.resources import files

from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.base import Chat, Done, EngineConfig, Generation, Message, Sampling
from servers import TINY

SCHEMA = {"type": "object", "properties": {"word": {"type": "string", "maxLength": 5}}}


async def test_counting_a_chat_counts_the_schema_that_a_request_with_it_shows(tmp_path):
    template = files("freehold.data").joinpath("templates", "smollm2.jinja").read_text("utf-8")
    config = EngineConfig("tiny", tmp_path, weights=TINY, slots=1, context=512, template=template)
    engine = await LlamaEngine.load(config)
    try:
        user = (Message("user", "One word"),)
        chat = Chat(user, json_schema=SCHEMA)
        request = Generation(chat, Sampling(max_tokens=3), schema=SCHEMA)
        events = [event async for group in engine.generate(request) for event in group]
        assert isinstance(events[-1], Done)
        assert events[-1].prompt_tokens == await engine.count_tokens(chat)
        assert events[-1].prompt_tokens > await engine.count_tokens(Chat(user)) + 10
    finally:
        await engine.close()
