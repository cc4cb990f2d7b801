"""A server that has too much to do says so, and says when to come back."""

import asyncio

from servers import chat_body, scripted


async def test_requests_beyond_the_queue_are_told_when_to_come_back(start):
    api = await start(models=scripted({"text": "at last", "hang": True}, slots=1), queue_limit=1)
    engine = await api.server.registry.find("gpt-4o").text.ensure_loaded()
    first = asyncio.create_task(api.chat())
    while not engine.requests:
        await asyncio.sleep(0)
    second = asyncio.create_task(api.chat(messages=[{"role": "user", "content": "second"}]))
    while api.server.registry.statuses()["scripted"].queued < 1:
        await asyncio.sleep(0)
    refused = await api.client.post("/v1/chat/completions", json=chat_body())
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "server_overloaded"
    engine.resume.set()
    assert (await first)["choices"][0]["message"]["content"] == "at last"
    assert (await second)["choices"][0]["message"]["content"] == "second"


async def test_one_request_of_many_choices_waits_for_its_own_slots(start):
    api = await start(models=scripted(slots=1))
    answer = await api.chat(n=8)
    assert len(answer["choices"]) == 8
