"""Stored chats: kept with ``store: true``, found again by their own project only."""

import httpx
import pytest
from sqlalchemy import insert, update

from chats import asked
from freehold.core import clock
from freehold.core.ids import new_id
from freehold.data.retention import retention
from freehold.resources.organization import service as organization
from freehold.storage.tables import chat_completions, projects
from servers import scripted

LIST = "/v1/chat/completions"


async def keep(api, text="hello", **more):
    """Store an answer and return it."""
    return await api.chat(messages=asked(text), store=True, **more)


async def listed(api, path=LIST, **params):
    answer = await api.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(api, **params):
    return [one["id"] for one in (await listed(api, **params))["data"]]


async def refused(api, method, path, status, **options):
    answer = await api.client.request(method, path, sends_invalid=True, **options)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


async def test_what_was_stored_is_returned_as_it_was_answered(start):
    api = await start()
    kept = await keep(api, metadata={"a": "b"}, n=2, logprobs=True)
    found = await api.client.get(f"{LIST}/{kept['id']}")
    assert found.json() == {**kept, "metadata": {"a": "b"}}


async def test_a_streamed_answer_is_stored_whole(start):
    api = await start()
    events = await api.stream(messages=asked("one two"), store=True)
    found = (await api.client.get(f"{LIST}/{events[0]['id']}")).json()
    assert found["object"] == "chat.completion"
    assert found["choices"][0]["message"]["content"] == "one two"
    assert found["usage"]["completion_tokens"] == 2


async def test_nothing_is_stored_unless_asked(start):
    api = await start()
    answer = await api.chat()
    await api.chat(store=False)
    assert await listed(api) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    error = await refused(api, "GET", f"{LIST}/{answer['id']}", 404)
    assert answer["id"] in error["message"]


async def test_pages_follow_each_other_in_both_orders(start):
    api = await start()
    kept = [(await keep(api, f"text {place}"))["id"] for place in range(5)]
    page = await listed(api, limit=2)
    assert [one["id"] for one in page["data"]] == kept[:2]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (kept[0], kept[1], True)
    assert await ids(api, limit=2, after=kept[1]) == kept[2:4]
    last = await listed(api, limit=2, after=kept[3])
    assert ([one["id"] for one in last["data"]], last["has_more"]) == (kept[4:], False)
    assert await ids(api, order="desc") == kept[::-1]
    assert await ids(api, order="desc", after=kept[2]) == kept[1::-1]
    assert await ids(api, after=kept[4]) == []


async def test_twenty_are_shown_unless_asked_for_more(start):
    api = await start()
    for _ in range(22):
        await keep(api)
    page = await listed(api)
    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert len((await listed(api, limit=100))["data"]) == 22


async def test_filters_find_models_by_any_name_and_all_pairs_of_metadata(start):
    api = await start()
    one = (await keep(api, metadata={"a": "1", 'b".c': "x"}))["id"]
    two = (await keep(api, model="gpt-4", metadata={"a": "1", "b": "2"}))["id"]
    three = (await keep(api))["id"]
    assert await ids(api, model="gpt-4o") == [one, three]
    assert await ids(api, model="gpt-4o-2024-08-06") == [one, three]
    assert await ids(api, model="gpt-4") == [two]
    assert await ids(api, model="gpt-17") == []
    assert await ids(api, **{"metadata[a]": "1"}) == [one, two]
    assert await ids(api, **{"metadata[a]": "1", "metadata[b]": "2"}) == [two]
    assert await ids(api, **{'metadata[b".c]': "x"}) == [one]
    assert await ids(api, **{"metadata[a]": "2"}) == []
    assert await ids(api, colour="red") == [one, two, three]  # unknown parameters are ignored


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"limit": 0}, "limit", ">= 1"),
        ({"limit": 101}, "limit", "<= 100"),
        ({"limit": "many"}, "limit", "expected an integer"),
        ({"order": "up"}, "order", "'asc' and 'desc'"),
        ({"model": "a\0b"}, None, "NUL"),
    ],
)
async def test_wrong_queries_are_told_what_to_change(shared, params, param, words):
    error = await refused(shared, "GET", LIST, 400, params=params)
    assert error["param"] == param
    assert words in error["message"]


async def test_a_cursor_that_is_not_there_is_not_found(shared):
    error = await refused(shared, "GET", LIST, 404, params={"after": "chatcmpl-none"})
    assert error["param"] == "after"


async def test_metadata_is_replaced_and_nothing_else(start):
    api = await start()
    kept = await keep(api, metadata={"a": "1"})
    path = f"{LIST}/{kept['id']}"
    answer = await api.client.post(path, json={"metadata": {"b": "2"}})
    assert answer.json() == {**kept, "metadata": {"b": "2"}}
    assert (await api.client.get(path)).json() == answer.json()
    assert (await api.client.post(path, json={"metadata": {}})).json()["metadata"] == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "metadata." + "k" * 65),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"metadata": {"a\0": "x"}}, "metadata"),
        ({"metadata": {}, "model": "gpt-4"}, None),
    ],
)
async def test_metadata_beyond_the_limits_is_refused(start, body, param):
    api = await start()
    kept = await keep(api)
    error = await refused(api, "POST", f"{LIST}/{kept['id']}", 400, json=body)
    assert param is None or error["param"] == param


async def test_a_deleted_completion_is_gone(start):
    api = await start()
    kept = (await keep(api))["id"]
    answer = await api.client.delete(f"{LIST}/{kept}")
    assert answer.json() == {"object": "chat.completion.deleted", "id": kept, "deleted": True}
    for method, more in (("GET", ""), ("DELETE", ""), ("GET", "/messages")):
        await refused(api, method, f"{LIST}/{kept}{more}", 404)
    await refused(api, "POST", f"{LIST}/{kept}", 404, json={"metadata": {}})
    assert await ids(api) == []


async def test_messages_are_those_of_the_request(start):
    api = await start()
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    sent = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}] * 2},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": "why"},
    ]
    kept = (await api.chat(messages=sent, store=True))["id"]
    path = f"{LIST}/{kept}/messages"
    page = await listed(api, path)
    found = page["data"]
    assert [one["id"] for one in found] == [f"{kept}-{place}" for place in range(6)]
    assert [one["role"] for one in found] == [one["role"] for one in sent]
    assert [one["content"] for one in found] == ["be brief", "aa", None, "42", None, "why"]
    assert found[1]["content_parts"] == sent[1]["content"]
    assert found[1]["name"] == "ann"
    assert found[2]["tool_calls"] == [call]
    assert found[3]["tool_call_id"] == "call_1"
    assert found[4]["refusal"] == "no"
    assert found[5]["content_parts"] is None
    assert (page["first_id"], page["last_id"]) == (f"{kept}-0", f"{kept}-5")
    second = await listed(api, path, limit=2, after=f"{kept}-1", order="asc")
    assert [one["id"] for one in second["data"]] == [f"{kept}-2", f"{kept}-3"]
    assert second["has_more"] is True
    backwards = await listed(api, path, order="desc", after=f"{kept}-2")
    assert [one["id"] for one in backwards["data"]] == [f"{kept}-1", f"{kept}-0"]
    error = await refused(api, "GET", path, 404, params={"after": "x"})
    assert error["param"] == "after"
    await refused(api, "GET", path, 400, params={"limit": 101})


async def other_key(api):
    """Make a second project and return a key of it."""
    project = {"id": new_id("project"), "name": "Other", "created_at": clock.now()}
    database = api.server.api.services.database
    mine = await organization.list_projects(database)
    project["organization_id"] = mine[0]["organization_id"]
    await database.write(lambda c: c.execute(insert(projects), project))
    key = await organization.create_key(database, project_id=project["id"])
    return {"Authorization": f"Bearer {key.secret}"}


async def test_another_projects_key_finds_nothing(start):
    api = await start()
    kept = (await keep(api))["id"]
    other = await other_key(api)
    page = await api.client.get(LIST, headers=other)
    assert page.json()["data"] == []
    for method, more, options in (
        ("GET", "", {}),
        ("POST", "", {"json": {"metadata": {"stolen": "yes"}}}),
        ("DELETE", "", {}),
        ("GET", "/messages", {}),
    ):
        await refused(api, method, f"{LIST}/{kept}{more}", 404, headers=other, **options)
    await refused(api, "GET", LIST, 404, headers=other, params={"after": kept})
    assert (await listed(api))["data"][0]["metadata"] == {}


async def test_what_is_older_than_retention_allows_is_not_shown(start):
    api = await start()
    old, fresh = (await keep(api))["id"], (await keep(api))["id"]
    limit = clock.now() - retention("chat_completion").seconds
    aged = update(chat_completions).where(chat_completions.c.id == old).values(created=limit)
    await api.server.api.services.database.write(lambda c: c.execute(aged))
    assert await ids(api) == [fresh]
    for method in ("GET", "DELETE"):
        await refused(api, method, f"{LIST}/{old}", 404)


async def test_zero_data_retention_stores_nothing(start):
    api = await start()
    database = api.server.api.services.database
    project = (await organization.list_projects(database))[0]["id"]
    await organization.set_zero_data_retention(database, project, on=True)
    key = await organization.create_key(database)
    api.client.client.headers["Authorization"] = f"Bearer {key.secret}"
    kept = await keep(api)
    assert kept["choices"][0]["message"]["content"] == "hello"
    assert await ids(api) == []


async def test_stored_completions_survive_a_restart(start, tmp_path):
    api = await start(models=scripted())
    kept = (await keep(api))["id"]
    await api.server.stop()
    again = await start()
    headers = {"Authorization": f"Bearer {api.key}"}
    transport = httpx.ASGITransport(app=again.server.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get(LIST, headers=headers)).json()["data"][0]["id"] == kept


async def test_nul_characters_in_paths_are_not_found(shared):
    await refused(shared, "GET", f"{LIST}/a%00b", 404)
