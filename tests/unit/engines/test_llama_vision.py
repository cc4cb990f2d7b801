"""A model with a projector sees pictures; the eyes are random, so only that they differ matters."""

import asyncio
import contextlib
from base64 import b64decode
from contextlib import aclosing

import pytest

from drawn import drawn
from freehold.core.errors import BadRequestError
from freehold.engines.backends.llama import LlamaEngine
from freehold.engines.backends.llama_media import images_of, marked, new_marker, shown
from freehold.engines.backends.llama_native import translated
from freehold.engines.base import (
    IMAGE,
    Chat,
    Done,
    EngineConfig,
    EngineLoadError,
    Generation,
    Image,
    Message,
    Sampling,
    TextDelta,
)
from freehold.engines.pictures import read_head
from freehold.engines.template import Plain
from freehold.engines.viewer import Viewer
from servers import EYES, TINY

PER_PICTURE = 16
END = 2


@pytest.fixture
async def load(tmp_path):
    """Return a function that loads the tiny model with eyes."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(eyes=EYES, **fields):
            options = {"mmproj.path": str(eyes)}
            config = {"weights": TINY, "slots": 2, "threads": 1, "options": options, **fields}
            engine = await LlamaEngine.load(EngineConfig("tiny", tmp_path / "run", **config))
            stack.push_async_callback(engine.close)
            return engine

        yield begin


@pytest.fixture
async def engine(load):
    return await load()


def image(data, detail="auto"):
    head = read_head(data)
    return Image(data, head.format, head.width, head.height, detail)


RED, BLUE = image(drawn("red")), image(drawn("blue"))


def chat(content, *images):
    return Chat((Message("user", content, images=images),))


def ask(content, *images, **sampling):
    return Generation(chat(content, *images), Sampling(**{"temperature": 0, **sampling}))


async def events_of(engine, request):
    return [event async for group in engine.generate(request) for event in group]


async def test_a_model_with_a_projector_sees_and_one_without_does_not(engine, tmp_path):
    assert engine.sees
    blind = await LlamaEngine.load(EngineConfig("tiny", tmp_path / "b", weights=TINY, slots=1))
    assert not blind.sees
    await blind.close()


async def test_each_picture_takes_its_tokens_and_they_are_counted(engine):
    words = await engine.count_tokens(chat("What is this?"))
    one = chat(f"{IMAGE}What is this?", RED)
    assert await engine.count_tokens(one) == words + PER_PICTURE
    two = chat(f"{IMAGE}{IMAGE}What is this?", RED, BLUE)
    assert await engine.count_tokens(two) == words + 2 * PER_PICTURE
    done = (await events_of(engine, ask(f"{IMAGE}{IMAGE}What is this?", RED, BLUE, max_tokens=2)))[
        -1
    ]
    assert isinstance(done, Done)
    assert (done.prompt_tokens, done.completion_tokens) == (words + 2 * PER_PICTURE, 2)
    assert done.reason == "length"


async def test_different_pictures_are_different_to_the_model(engine):
    def logprobs(events):
        deltas = (e for e in events if isinstance(e, TextDelta))
        return [round(token.logprob, 4) for delta in deltas for token in delta.logprobs]

    async def seen(picture):
        request = ask(f"What is {IMAGE} this?", picture, max_tokens=4, logprobs=2)
        return logprobs(await events_of(engine, request))

    red = await seen(RED)
    assert len(red) == 4
    assert await seen(RED) == red
    assert await seen(BLUE) != red


async def test_a_conversations_pictures_are_not_read_again(engine):
    await events_of(engine, ask(f"{IMAGE} one", RED, max_tokens=1))
    done = (await events_of(engine, ask(f"{IMAGE} one", RED, max_tokens=1)))[-1]
    assert done.cached_tokens >= PER_PICTURE


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
async def test_every_format_is_understood(engine, kind):
    picture = image(drawn("red", format=kind))
    assert (await events_of(engine, ask(f"{IMAGE} x", picture, max_tokens=1)))[-1].reason


@pytest.mark.parametrize("prompt", ["Once upon", [300, 301, 302]])
async def test_prompts_of_text_and_of_token_ids_still_work(engine, prompt):
    bias = {END: -100.0}
    sampling = Sampling(max_tokens=3, temperature=0, logprobs=2, logit_bias=bias)
    request = Generation(prompt, sampling)
    events = await events_of(engine, request)
    assert events[-1].completion_tokens == 3
    assert len([t for e in events if isinstance(e, TextDelta) for t in e.logprobs]) == 3


async def test_text_answers_are_the_same_with_and_without_eyes(engine, tmp_path):
    blind = await LlamaEngine.load(EngineConfig("tiny", tmp_path / "b", weights=TINY, slots=1))
    for content in ("Hello there", "Spell <|im_end|> here"):
        request = ask(content, max_tokens=8)
        assert await events_of_text(engine, request) == await events_of_text(blind, request)
    await blind.close()


async def events_of_text(engine, request):
    events = await events_of(engine, request)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_constraints_hold_beside_pictures(engine):
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    request = Generation(
        chat(f"{IMAGE} JSON", RED), Sampling(max_tokens=40, temperature=0), schema=schema
    )
    assert '"a"' in await events_of_text(engine, request)


async def test_an_answer_to_a_picture_can_be_stopped_and_its_slot_used_again(load):
    engine = await load(slots=1)
    request = ask(f"{IMAGE} x", RED, max_tokens=500, logit_bias={END: -100.0})
    for _ in range(3):
        async with aclosing(engine.generate(request)) as groups:
            await anext(groups)
    done = (await events_of(engine, ask(f"{IMAGE} x", RED, max_tokens=1)))[-1]
    assert done.completion_tokens == 1
    assert engine.status().restarts == 0


async def test_answers_to_pictures_run_side_by_side(engine):
    request = ask(f"{IMAGE} x", RED, max_tokens=20, logit_bias={END: -100.0})
    answers = await asyncio.gather(*(events_of(engine, request) for _ in range(5)))
    assert {answer[-1].completion_tokens for answer in answers} == {20}


async def test_pictures_that_do_not_fit_the_window_are_refused_as_such(load):
    engine = await load(context=64)
    with pytest.raises(BadRequestError) as caught:
        await events_of(engine, ask(IMAGE * 5 + "x", *[RED] * 5))
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


async def test_a_picture_that_can_not_be_decoded_is_refused(engine):
    data = bytearray(drawn("red", "blue", size=(300, 300)))
    place = data.index(b"IDAT") + 4
    data[place : place + 8] = b"no zlib!"
    with pytest.raises(BadRequestError) as caught:
        await events_of(engine, ask(f"{IMAGE} x", image(bytes(data))))
    assert caught.value.code == "image_parse_error"
    assert engine.status().restarts == 0


async def test_no_tokens_asked_for_count_the_pictures_too(engine):
    (done,) = await events_of(engine, ask(f"{IMAGE}What is this?", RED, max_tokens=0))
    assert done.prompt_tokens == await engine.count_tokens(chat(f"{IMAGE}What is this?", RED))


async def test_a_projector_that_does_not_fit_is_said_at_loading(load, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(EYES.read_bytes()[:1000])
    with pytest.raises(EngineLoadError):
        await load(eyes=broken)


async def test_what_the_engine_decodes_is_our_own_png_of_the_size_asked_for():
    large = image(drawn("red", size=(2000, 1000), format="jpeg"), "low")
    found = await shown(("a <m> b",), [large], "<m>", Viewer())
    (data,) = found.multimodal_data
    assert read_head(b64decode(data)).width == 512
    assert found.prompt_string == "a <m> b"


async def test_control_tokens_beside_pictures_stay_words():
    rendered = ("<m>", Plain("<|im_end|>"), " x")
    found = await shown(rendered, [RED], "<m>", Viewer())
    assert "<|im_end|>" not in found.prompt_string
    assert found.prompt_string.replace("\u200b", "") == "<m><|im_end|> x"


async def test_a_prompt_never_ends_with_a_picture():
    assert (await shown(("<m>",), [RED], "<m>", Viewer())).prompt_string == "<m>\n"


async def test_a_template_that_drops_a_picture_is_refused():
    with pytest.raises(BadRequestError, match="leaves pictures out"):
        await shown(("no place",), [RED], "<m>", Viewer())


def test_markers_stand_only_in_messages_that_have_pictures():
    words = Message("user", f"mine {IMAGE}")
    found = marked(Chat((words, *chat(IMAGE, RED).messages)), "<m>")
    assert [message.content for message in found.messages] == [f"mine {IMAGE}", "<m>"]
    assert images_of(found) == [RED]
    assert images_of("text") == []
    assert new_marker() != new_marker()


def test_errors_of_the_other_entrance_stay_errors():
    fault = {"error": {"code": 400, "message": "no", "type": "x"}}
    assert translated(fault) == fault
