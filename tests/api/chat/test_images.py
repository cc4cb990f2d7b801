"""Pictures in messages: what is taken, what is refused, what the model gets, what it costs."""

import asyncio
import base64
import json
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from chats import asked
from drawn import SVG, animated, bomb, data_url, drawn, part, shown
from freehold.engines.base import IMAGE
from hostile import fetcher, hostile_server
from servers import EYES, TINY, scripted

RED = drawn("red", size=(640, 480))
LINE = (
    "[A picture: a PNG of 640 x 480 pixels. Its colours are red (100%). "
    "Nothing more is known about it.]"
)
WHERE = "messages[0].content[1].image_url"
MIB = 2**20


@pytest_asyncio.fixture
async def hostile():
    async with hostile_server() as server:
        yield server


@pytest_asyncio.fixture
async def fetching(api):
    """Return a server that takes 127.0.0.2 for the whole internet."""
    fetch_with(api, fetcher())
    return api


@pytest_asyncio.fixture
async def seeing(api):
    """Return a server whose model sees."""
    (await engine(api)).sees = True
    return api


def fetch_with(api, found):
    api.server.api.services = replace(api.server.api.services, fetcher=found)


async def engine(api):
    return await api.server.registry.find("gpt-4o").text.ensure_loaded()


def said(answer):
    return answer["choices"][0]["message"]["content"]


async def fault(api, url, **fields):
    """Return the error that a picture gets as the second part of a message."""
    return await api.refused(messages=shown("What is this?", part(url, **fields)))


async def test_a_model_without_eyes_is_told_true_facts_in_the_pictures_place(shared):
    messages = shown("Before.", part(data_url(RED)), "After.")
    assert said(await shared.chat(messages=messages)) == f"Before.\n{LINE}\nAfter."


async def test_several_pictures_keep_their_places(shared):
    two = drawn("blue", "white", format="gif")
    messages = shown(part(data_url(two, "gif")), "and\n", part(data_url(RED)))
    first, word, second = said(await shared.chat(messages=messages)).split("\n")
    assert "a GIF of 64 x 48 pixels" in first
    assert "blue (50%)" in first
    assert (word, second) == ("and", LINE)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
async def test_the_four_formats_are_taken_whatever_their_media_type_says(shared, kind):
    url = data_url(drawn("red", format=kind), "x-anything")
    assert f"[A picture: a {kind.upper()} of 64 x 48" in said(
        await shared.chat(messages=shown(part(url)))
    )


async def test_the_callers_own_sign_for_a_picture_is_not_taken_for_one(shared):
    messages = shown(f"a{IMAGE}b", part(data_url(RED)), IMAGE)
    assert said(await shared.chat(messages=messages)) == f"a\ufffdb\n{LINE}\n\ufffd"
    assert said(await shared.chat(messages=asked(f"a{IMAGE}b"))) == f"a{IMAGE}b"


async def test_pictures_of_earlier_turns_stay_in_them(shared):
    messages = [
        *shown("one", part(data_url(RED))),
        {"role": "assistant", "content": "seen"},
        *shown("two", part(data_url(RED))),
    ]
    assert said(await shared.chat(messages=messages)) == f"two\n{LINE}"


async def test_an_engine_that_sees_gets_the_pictures_themselves(seeing):
    blue = drawn("blue", format="webp")
    messages = shown("a", part(data_url(RED), detail="low"), part(data_url(blue)), "b")
    await seeing.chat(messages=messages)
    (message,) = (await engine(seeing)).requests[-1].prompt.messages
    assert message.content == f"a{IMAGE}{IMAGE}b"
    assert [image.data for image in message.images] == [RED, blue]
    first, second = message.images
    assert (first.format, first.width, first.height, first.detail) == ("png", 640, 480, "low")
    assert (second.format, second.detail) == ("webp", "auto")


async def test_a_url_is_fetched_once_however_often_it_is_named(fetching, hostile):
    url = hostile.page("/red.png", RED, "Content-Type: text/plain")
    messages = shown(part(url), part(url, detail="low"))
    assert said(await fetching.chat(messages=messages)) == f"{LINE}\n{LINE}"
    assert len(hostile.asked) == 1


async def test_pictures_work_in_streams(shared):
    events = await shared.stream(messages=shown(part(data_url(RED))))
    text = "".join(e["choices"][0]["delta"].get("content", "") for e in events)
    assert text == LINE


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "o1", "gpt-4-turbo"])
@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((1024, 1024), "high", 765),
        ((2048, 4096), "high", 1105),
        ((4096, 8192), "low", 85),
        ((512, 512), "auto", 85),
        ((1024, 1024), None, 765),
    ],
)
async def test_usage_counts_pictures_as_the_guide_does(shared, model, size, detail, tokens):
    picture = drawn(1, size=size, mode="1")
    fields = {"detail": detail} if detail else {}
    messages = shown("three words here", part(data_url(picture), **fields))
    usage = (await shared.chat(model=model, messages=messages))["usage"]
    assert usage["prompt_tokens"] == 3 + tokens
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_usage_of_own_ids_is_the_engines(shared):
    messages = shown("three words here", part(data_url(RED)))
    usage = (await shared.chat(model="scripted", messages=messages))["usage"]
    assert usage["prompt_tokens"] == len(LINE.split()) + 3


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "o1-mini", "gpt-4", "gpt-4o-audio-preview"])
async def test_models_that_take_no_pictures_refuse_them(shared, model):
    error = await shared.refused(model=model, messages=shown("x", part(data_url(RED))))
    assert error["message"] == (
        "Invalid content type. image_url is only supported by certain models."
    )
    assert error["param"] == "messages[0].content[1].type"


async def test_describing_can_be_switched_off(start):
    api = await start(vision={"describe": False})
    error = await fault(api, data_url(RED))
    assert "freehold models add gpt-4o" in error["message"]
    assert (error["param"], error["code"]) == (WHERE, "unsupported_content_part")
    (await engine(api)).sees = True
    await api.chat(messages=shown(part(data_url(RED))))


async def test_a_picture_for_another_role_is_refused(shared):
    for role in ("system", "developer", "assistant", "tool"):
        await shared.refused(
            messages=[{"role": role, "content": [part(data_url(RED))], "tool_call_id": "x"}]
        )


async def test_more_pictures_than_a_request_may_hold_are_refused(shared):
    many = shown("x", *[part(data_url(b"x"))] * 101)
    error = await shared.refused(messages=many)
    assert error["code"] == "too_many_images"
    assert error["param"] == "messages[0].content[101].image_url"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,####", "invalid_base64_image"),
        ("data:image/png;base64,AAA", "invalid_base64_image"),
        ("data:image/png;base64,é", "invalid_base64_image"),
        ("data:image/png,AAAA", "invalid_base64_image"),
        ("data:image/png;base64", "invalid_base64_image"),
        ("data:text/plain;base64,AAAA", "unsupported_image_media_type"),
        ("data:;base64,AAAA", "unsupported_image_media_type"),
        ("data:image/png;base64,", "empty_image_file"),
        (data_url(SVG, "svg+xml"), "invalid_image_format"),
        (data_url(b"no picture"), "invalid_image_format"),
        (data_url(animated("gif"), "gif"), "invalid_image_format"),
        (data_url(animated("webp"), "webp"), "invalid_image_format"),
        (data_url(RED[: len(RED) // 2]), "image_parse_error"),
        (data_url(RED.replace(b"IDAT", b"IDAT" + b"\0" * 12)), "image_parse_error"),
        (data_url(bomb()), "image_too_large"),
        ("", "invalid_image_url"),
        ("picture.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("http://user:word@pictures.test/", "invalid_image_url"),
        ("http://127.0.0.1:9/x.png", "invalid_image_url"),
        ("http://2130706433:9/x.png", "invalid_image_url"),
        ("http://[::1]:9/x.png", "invalid_image_url"),
        ("http://[::ffff:169.254.169.254]/latest/meta-data", "invalid_image_url"),
        ("http://169.254.169.254/latest/meta-data", "invalid_image_url"),
    ],
)
async def test_what_is_no_picture_is_refused_with_its_place(shared, url, code):
    error = await fault(shared, url)
    assert (error["code"], error["param"]) == (code, WHERE)
    assert error["type"] == "invalid_request_error"


async def test_line_breaks_in_base64_are_taken(shared):
    url = "data:image/png;base64," + base64.encodebytes(RED).decode()
    assert said(await shared.chat(messages=shown(part(url)))) == LINE


async def test_twenty_megabytes_are_taken_and_no_more(shared):
    filler = 20 * MIB - len(RED)
    assert said(await shared.chat(messages=shown(part(data_url(RED + bytes(filler)))))) == LINE
    error = await fault(shared, data_url(RED + bytes(filler + 1)))
    assert error["code"] == "image_too_large"
    assert "at most 20 MB" in error["message"]
    assert (await fault(shared, data_url(bytes(21 * MIB))))["code"] == "image_too_large"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (SVG, "invalid_image_format"),
        (b"<html>", "invalid_image_format"),
        (RED[:-20], "image_parse_error"),
        (bomb(), "image_too_large"),
        (bytes(21 * MIB), "image_too_large"),
        (b"", "empty_image_file"),
    ],
)
async def test_what_was_fetched_is_judged_by_its_bytes(fetching, hostile, body, code):
    error = await fault(fetching, hostile.page("/x", body, "Content-Type: image/png"))
    assert (error["code"], error["param"]) == (code, WHERE)


async def test_a_download_that_fails_says_how(fetching, hostile):
    missing = hostile.page("/none.png", b"", status="404 x")
    error = await fault(fetching, missing)
    assert error["message"] == f"Error while downloading {missing}. Upstream status code: 404."
    assert (error["code"], error["param"]) == ("invalid_image_url", WHERE)


async def test_a_redirect_to_this_machine_is_refused_and_not_followed(fetching, hostile):
    target = hostile.page("/secret.png", RED).replace("pictures.test", "127.0.0.1")
    error = await fault(fetching, hostile.redirect("/go", target))
    assert error["code"] == "invalid_image_url"
    assert "no public address" in error["message"]
    assert all(request.startswith("127.0.0.2") for request in hostile.asked)


async def test_a_compressed_answer_is_refused(fetching, hostile):
    error = await fault(fetching, hostile.page("/z", RED, "Content-Encoding: gzip"))
    assert "compressed" in error["message"]


async def test_a_slow_server_is_told_as_a_timeout(api, hostile):
    fetch_with(api, fetcher(timeout_s=0.2))

    async def slow(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await hostile_end.wait()

    hostile_end = asyncio.Event()
    url = hostile.on("/slow.png", slow)
    assert (await fault(api, url))["message"] == f"Timeout while downloading {url}."


async def test_one_bad_picture_among_good_ones_is_named(shared):
    messages = shown(part(data_url(RED)), part("data:image/png;base64,!"), part(data_url(RED)))
    error = await shared.refused(messages=messages)
    assert error["param"] == "messages[0].content[1].image_url"


async def test_an_operator_may_allow_private_addresses(start, hostile):
    api = await start(vision={"allow_private": True})
    url = hostile.page("/red.png", RED).replace("pictures.test", "127.0.0.1")
    assert said(await api.chat(messages=shown(part(url)))) == LINE


async def test_facts_count_for_the_window(start):
    api = await start(models=scripted(context=64))
    await api.chat(messages=shown(part(data_url(RED))))
    error = await api.refused(messages=shown(*[part(data_url(RED))] * 5))
    assert error["code"] == "context_length_exceeded"


async def test_a_model_with_a_projector_sees_through_the_api(start):
    api = await start(
        models={"gpt-4o": {"weights": str(TINY), "mmproj": str(EYES), "slots": 2, "threads": 1}},
        default_model="gpt-4o",
    )
    messages = shown("What is ", part(data_url(drawn("red", size=(1024, 1024)))), "this?")
    answer = await api.chat(messages=messages, max_tokens=2)
    words = (await api.chat(messages=shown("What is ", "this?"), max_tokens=2))["usage"]
    assert answer["usage"]["prompt_tokens"] == words["prompt_tokens"] + 765
    engine = await api.server.registry.find("gpt-4o").text.ensure_loaded()
    assert engine.sees


async def test_pictures_are_passed_on_to_an_upstream(start, tmp_path):
    api = await start(
        models={"gpt-4o": {"backend": "upstream", "base_url": "http://127.0.0.1:9/v1"}}
    )
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        if request.url.path != "/v1/chat/completions":
            return httpx.Response(404)
        chunk = {"choices": [{"index": 0, "delta": {"content": "red"}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 99, "completion_tokens": 1}}
        events = [f"data: {json.dumps(event)}\n\n" for event in (chunk, usage)]
        return httpx.Response(200, text="".join(events) + "data: [DONE]\n\n")

    upstream = await api.server.registry.find("gpt-4o").text.ensure_loaded()
    await upstream._client.aclose()
    upstream._client = httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="http://upstream/v1"
    )
    url = data_url(RED)
    answered = await api.chat(messages=shown("a", part(url, detail="low"), part(url), "b"))
    assert said(answered) == "red"
    assert sent[0]["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        part(url, detail="low"),
        part(url, detail="auto"),
        {"type": "text", "text": "b"},
    ]
    assert answered["usage"]["prompt_tokens"] == 99  # it has no tokenizer, and has counted itself
