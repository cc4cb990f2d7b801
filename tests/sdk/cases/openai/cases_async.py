"""The asynchronous client, cancellation, and many at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from given import MODEL, SCRIPTED, becomes_busy, becomes_idle, busy, said


async def test_answers_and_streams(async_client):
    whole = await async_client.chat.completions.create(**said("Hello"))
    stream = await async_client.chat.completions.create(**said("Hello", stream=True))
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == whole.choices[0].message.content


async def test_lists_models(async_client):
    assert MODEL in [model.id async for model in async_client.models.list()]


async def test_stream_helper_works(async_client):
    async with async_client.beta.chat.completions.stream(**said("Hello")) as stream:
        types = [event.type async for event in stream]
    assert types[-1] == "content.done"


async def test_cancelled_stream_frees_the_slot(async_client):
    begun = asyncio.Event()

    async def read():
        request = said("slowly", SCRIPTED, stream=True)
        async for chunk in await async_client.chat.completions.create(**request):
            assert chunk.choices
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    assert await asyncio.to_thread(busy) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(becomes_idle)


async def test_cancelled_request_frees_the_slot(async_client):
    task = asyncio.create_task(async_client.chat.completions.create(**said("slowly", SCRIPTED)))
    assert await asyncio.to_thread(becomes_busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(becomes_idle)


async def test_timeout_is_the_clients_class(async_client):
    with pytest.raises(openai.APITimeoutError):
        await async_client.with_options(timeout=0.2).chat.completions.create(
            **said("slowly", SCRIPTED)
        )
    assert await asyncio.to_thread(becomes_idle)


async def test_sixteen_at_once_are_all_answered(async_client):
    answers = await asyncio.gather(
        *(async_client.chat.completions.create(**said("Hello")) for _ in range(16))
    )
    assert {answer.choices[0].finish_reason for answer in answers} == {"stop"}
    assert len({answer.id for answer in answers}) == 16


def test_sixteen_threads_get_each_its_own_stream(client):
    def text(question):
        stream = client.chat.completions.create(**said(question, SCRIPTED, stream=True))
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    questions = [f"Question number {number} of sixteen" for number in range(16)]
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(text, questions)) == questions
