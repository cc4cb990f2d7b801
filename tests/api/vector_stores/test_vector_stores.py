"""Vector stores over HTTP: what is accepted, what becomes of it, what searches answer."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import select, update

import documents
import tiny_bert
from freehold.core import clock
from freehold.data import limits
from freehold.jobs.job import Failure
from freehold.resources.organization import service as organization
from freehold.resources.vector_stores import tasks
from freehold.storage.tables import jobs, projects, vector_store_files, vector_stores
from servers import in_process

STORES = "/v1/vector_stores"
SMALL = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory):
    """Return a server that embeds with a tiny model."""
    folder = tmp_path_factory.mktemp("stores")
    weights = str(tiny_bert.write_tiny(folder / "embedder"))
    models = {
        "scripted": {"backend": "scripted"},
        "tiny-bert": {"kind": "embedding", "backend": "minilm", "weights": weights},
    }
    async with in_process(
        folder / "state", models=models, default_embedding_model="tiny-bert"
    ) as server:
        yield server


async def ok(answer):
    answer = await answer
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(answer, status=400):
    answer = await answer
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


async def upload(api, content="The cat sat on the mat.", name="cat.txt"):
    data, files = {"purpose": "assistants"}, {"file": (name, content)}
    return (await ok(api.client.post("/v1/files", data=data, files=files)))["id"]


async def settled(api, path):
    async with asyncio.timeout(60):
        while (shown := await ok(api.client.get(path)))["status"] == "in_progress":
            await asyncio.sleep(0.02)
    return shown


async def filled(api, *contents, **body):
    ids = [await upload(api, content, f"{n}.txt") for n, content in enumerate(contents)]
    store = await ok(api.client.post(STORES, json={"file_ids": ids, **body}))
    await settled(api, f"{STORES}/{store['id']}")
    return f"{STORES}/{store['id']}", ids


async def change(api, table, where, **values):
    database = api.server.api.services.database
    await database.write(lambda c: c.execute(update(table).where(where).values(**values)).rowcount)


def store_row(path):
    return vector_stores.c.id == path.rpartition("/")[2]


async def test_store_is_made_changed_and_deleted(api):
    body = {"name": "Help", "metadata": {"a": "b"}}
    made = await ok(api.client.post(STORES, json=body))
    path = f"{STORES}/{made['id']}"
    assert (made["name"], made["metadata"], made["status"]) == ("Help", {"a": "b"}, "completed")
    assert made["usage_bytes"] == 0
    assert made["expires_at"] is None
    changed = await ok(api.client.post(path, json={"name": "FAQ"}))
    assert (changed["name"], changed["metadata"]) == ("FAQ", {"a": "b"})
    assert (await ok(api.client.get(path)))["name"] == "FAQ"
    gone = await ok(api.client.delete(path))
    assert gone == {"id": made["id"], "object": "vector_store.deleted", "deleted": True}
    for answer in (api.client.get(path), api.client.delete(path)):
        assert "No vector store found" in (await refused(answer, 404))["message"]


async def test_stores_are_listed_in_one_order_from_both_sides(api):
    ids = [(await ok(api.client.post(STORES, json={})))["id"] for _ in range(4)]

    async def listed(**query):
        page = await ok(api.client.get(STORES, params={"limit": 2, **query}))
        return [each["id"] for each in page["data"]], page["has_more"]

    assert (await listed())[0] == [ids[3], ids[2]]
    assert (await listed(after=ids[2]))[0] == [ids[1], ids[0]]
    assert (await listed(before=ids[0]))[0] == [ids[2], ids[1]]
    assert await listed(order="asc", after=ids[1]) == ([ids[2], ids[3]], False)
    assert (await listed(order="asc", before=ids[3]))[0] == [ids[1], ids[2]]
    error = await refused(api.client.get(STORES, params={"after": "vs_none"}), 404)
    assert error["param"] == "after"


async def test_expiry_counts_from_the_last_use(api):
    path, _ = await filled(
        api, "The cat sat.", expires_after={"anchor": "last_active_at", "days": 7}
    )
    shown = await ok(api.client.get(path))
    assert shown["expires_at"] == shown["last_active_at"] + 7 * 86_400
    past = clock.now() - 3 * 86_400
    await change(
        api, vector_stores, store_row(path), last_active_at=past, expires_at=past + 7 * 86_400
    )
    await ok(api.client.post(f"{path}/search", json={"query": "cat"}))
    used = await ok(api.client.get(path))
    assert used["expires_at"] >= shown["expires_at"]
    never = await ok(api.client.post(path, json={"expires_after": None}))
    assert never["expires_at"] is None
    assert "expires_after" not in never


async def test_expired_store_says_so_and_lists_its_files_but_holds_no_chunks(api):
    path, ids = await filled(
        api, "The cat sat.", expires_after={"anchor": "last_active_at", "days": 1}
    )
    await change(api, vector_stores, store_row(path), expires_at=clock.now() - 1)
    assert (await ok(api.client.get(path)))["status"] == "expired"
    file_id = await upload(api)
    for request in (
        api.client.post(f"{path}/search", json={"query": "cat"}),
        api.client.post(f"{path}/files", json={"file_id": file_id}),
        api.client.post(f"{path}/file_batches", json={"file_ids": [file_id]}),
    ):
        assert "is expired" in (await refused(request))["message"]
    await change(api, jobs, jobs.c.kind == "vector_stores.sweep", run_at=0)
    api.server.api.services.jobs.wake()
    async with asyncio.timeout(30):
        while (await ok(api.client.get(path)))["usage_bytes"]:
            await asyncio.sleep(0.02)
    listed = await ok(api.client.get(f"{path}/files"))
    assert [each["id"] for each in listed["data"]] == ids


async def test_file_is_added_shown_and_taken_out(api):
    path, _ = await filled(api)
    file_id = await upload(api)
    body = {"file_id": file_id, "chunking_strategy": SMALL, "attributes": {"year": 2024}}
    made = await ok(api.client.post(f"{path}/files", json=body))
    assert made["chunking_strategy"] == SMALL
    done = await settled(api, f"{path}/files/{file_id}")
    assert (done["status"], done["last_error"], done["attributes"]) == (
        "completed",
        None,
        {"year": 2024},
    )
    assert done["usage_bytes"] > 0
    again = await ok(api.client.post(f"{path}/files", json={**body, "attributes": {"year": 1}}))
    assert (again["status"], again["attributes"]) == ("completed", {"year": 1})
    changed = await ok(api.client.post(f"{path}/files/{file_id}", json={"attributes": {"a": True}}))
    assert changed["attributes"] == {"a": True}
    text = await ok(api.client.get(f"{path}/files/{file_id}/content"))
    assert text["data"] == [{"type": "text", "text": "The cat sat on the mat."}]
    gone = await ok(api.client.delete(f"{path}/files/{file_id}"))
    assert gone == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    await refused(api.client.get(f"{path}/files/{file_id}"), 404)
    assert (await ok(api.client.get(f"/v1/files/{file_id}")))["id"] == file_id


async def test_content_is_the_text_without_the_overlaps(api):
    text = "".join(f"Sentence number {n} is here.\n\n" for n in range(200))
    path, ids = await filled(api, text, chunking_strategy=SMALL)
    found = await ok(api.client.get(f"{path}/files/{ids[0]}/content"))
    assert found["data"][0]["text"] == text


async def test_added_again_with_other_chunks_it_is_indexed_anew(api):
    path, ids = await filled(api, "The cat sat on the mat.")
    body = {"file_id": ids[0], "chunking_strategy": SMALL}
    assert (await ok(api.client.post(f"{path}/files", json=body)))["status"] == "in_progress"
    assert (await settled(api, f"{path}/files/{ids[0]}"))["status"] == "completed"
    assert (await ok(api.client.get(path)))["file_counts"]["total"] == 1


async def test_files_fail_alone_and_say_why(api):
    ids = [
        await upload(api, "The cat sat.", "good.txt"),
        await upload(api, b"MZ\x90", "program.exe"),
        await upload(api, documents.pdf("x", encrypted=True), "locked.pdf"),
        await upload(api, b"PK\x03\x04", "broken.docx"),
    ]
    store = await ok(api.client.post(STORES, json={"file_ids": ids}))
    path = f"{STORES}/{store['id']}"
    shown = await settled(api, path)
    counts = {"in_progress": 0, "completed": 1, "failed": 3, "cancelled": 0, "total": 4}
    assert (shown["status"], shown["file_counts"]) == ("completed", counts)
    failed = await ok(api.client.get(f"{path}/files", params={"filter": "failed", "order": "asc"}))
    assert [each["last_error"]["code"] for each in failed["data"]] == [
        "unsupported_file",
        "invalid_file",
        "invalid_file",
    ]
    assert "encrypted" in failed["data"][1]["last_error"]["message"]


async def test_file_of_a_job_that_was_given_up_is_a_server_error(api):
    path, ids = await filled(api, "The cat sat.")
    where = vector_store_files.c.file_id == ids[0]
    await change(api, vector_store_files, where, status="in_progress")
    database = api.server.api.services.database
    seq = await database.read(lambda c: c.scalar(select(vector_store_files.c.seq).where(where)))
    failure = Failure("job_1", str(seq), None, {}, "failed", "no engine (5 attempts)")
    await database.write(lambda c: tasks._end(c, failure))
    error = (await ok(api.client.get(f"{path}/files/{ids[0]}")))["last_error"]
    assert error == {"code": "server_error", "message": "no engine (5 attempts)"}


async def test_batch_is_watched_and_listed(api):
    path, _ = await filled(api, "Another file.")
    ids = [await upload(api, f"File {n}.", f"{n}.txt") for n in range(3)]
    body = {"file_ids": ids, "chunking_strategy": SMALL, "attributes": {"a": "b"}}
    batch = await ok(api.client.post(f"{path}/file_batches", json=body))
    assert batch["file_counts"]["total"] == 3
    done = await settled(api, f"{path}/file_batches/{batch['id']}")
    assert (done["status"], done["file_counts"]["completed"]) == ("completed", 3)
    listed = await ok(api.client.get(f"{path}/file_batches/{batch['id']}/files?order=asc"))
    assert [each["id"] for each in listed["data"]] == ids
    assert listed["data"][0]["attributes"] == {"a": "b"}
    await refused(api.client.get(f"{path}/file_batches/vsfb_none"), 404)


async def test_batch_takes_files_that_each_say_their_own(api):
    path, _ = await filled(api)
    files = [
        {"file_id": await upload(api), "attributes": {"n": 1}},
        {"file_id": await upload(api), "chunking_strategy": SMALL},
    ]
    batch = await ok(api.client.post(f"{path}/file_batches", json={"files": files}))
    await settled(api, f"{path}/file_batches/{batch['id']}")
    listed = (await ok(api.client.get(f"{path}/files?order=asc")))["data"]
    assert [each["attributes"] for each in listed] == [{"n": 1}, {}]
    assert listed[1]["chunking_strategy"] == SMALL


async def test_cancelled_batch_keeps_what_is_done(api, monkeypatch):
    path, _ = await filled(api)
    first = await upload(api, "done before", "a.txt")
    await ok(api.client.post(f"{path}/files", json={"file_id": first}))
    await settled(api, f"{path}/files/{first}")
    held, release = asyncio.Event(), asyncio.Event()

    async def hold(*_):
        held.set()
        await release.wait()
        return []

    monkeypatch.setattr(tasks, "_chunks", hold)
    second = await upload(api, "in progress", "b.txt")
    body = {"file_ids": [first, second]}
    batch = await ok(api.client.post(f"{path}/file_batches", json=body))
    await held.wait()
    cancelled = await ok(api.client.post(f"{path}/file_batches/{batch['id']}/cancel"))
    release.set()
    assert cancelled["status"] == "cancelled"
    assert (cancelled["file_counts"]["completed"], cancelled["file_counts"]["cancelled"]) == (1, 1)
    assert (await ok(api.client.get(f"{path}/files/{second}")))["status"] == "cancelled"


async def test_search_answers_a_page_of_chunks_with_scores(api):
    path, ids = await filled(api, "The cat sat on the mat.", "A dog ate the long red stone.")
    page = await ok(api.client.post(f"{path}/search", json={"query": "cat on a mat"}))
    assert page["object"] == "vector_store.search_results.page"
    assert (page["search_query"], page["has_more"], page["next_page"]) == (
        ["cat on a mat"],
        False,
        None,
    )
    best, other = page["data"]
    assert best["content"] == [{"type": "text", "text": "The cat sat on the mat."}]
    assert (best["file_id"], best["filename"], best["attributes"]) == (ids[0], "0.txt", {})
    assert 1 >= best["score"] > other["score"] >= 0


async def test_search_takes_several_questions_and_a_number_of_results(api):
    path, ids = await filled(api, "The cat sat.", "A dog ate.", "Red river stone.")
    body = {"query": ["dog", "river stone"], "max_num_results": 2}
    page = await ok(api.client.post(f"{path}/search", json=body))
    assert {each["file_id"] for each in page["data"]} == set(ids[1:])
    assert page["search_query"] == ["dog", "river stone"]


@pytest.mark.parametrize(
    ("asked", "searched"),
    [
        ("Could you please tell me when the shop opens?", "when the shop opens?"),
        ("Hello, I would like to know the price, please!", "the price"),
        ("cats", "cats"),
        ("please", "please"),
    ],
)
async def test_rewritten_question_is_what_was_searched_for(api, asked, searched):
    path, _ = await filled(api)
    body = {"query": asked, "rewrite_query": True}
    page = await ok(api.client.post(f"{path}/search", json=body))
    assert page["search_query"] == [searched]


async def test_threshold_and_ranker_are_honoured(api):
    path, _ = await filled(api, "The cat sat on the mat.", "A dog ate the long red stone.")

    async def scores(**options):
        body = {"query": "cat mat", "ranking_options": options}
        page = await ok(api.client.post(f"{path}/search", json=body))
        return [each["score"] for each in page["data"]]

    every = await scores(ranker="auto", score_threshold=0)
    assert await scores(ranker="auto", score_threshold=every[0]) == every[:1]
    assert (await scores(ranker="none"))[0] == 1.0


async def test_null_in_a_search_is_the_default(api):
    path, _ = await filled(api, *(f"The cat sat on {n} mats." for n in range(11)))
    null = dict.fromkeys(("rewrite_query", "max_num_results", "filters", "ranking_options"))
    page = await ok(api.client.post(f"{path}/search", json={"query": "please, cat", **null}))
    assert (page["search_query"], len(page["data"])) == (["please, cat"], 10)


async def test_search_filters_by_attributes(api):
    path, ids = await filled(api, "The cat sat.", "The cat ate.")
    for file_id, year in zip(ids, (2023, 2024), strict=True):
        body = {"attributes": {"year": year, "lang": "en"}}
        await ok(api.client.post(f"{path}/files/{file_id}", json=body))

    async def found(**filters):
        page = await ok(
            api.client.post(f"{path}/search", json={"query": "cat", "filters": filters})
        )
        return {each["file_id"] for each in page["data"]}

    assert await found(type="gt", key="year", value=2023) == {ids[1]}
    english = {"type": "eq", "key": "lang", "value": "en"}
    old = {"type": "lt", "key": "year", "value": 2024}
    assert await found(type="and", filters=[english, old]) == {ids[0]}
    assert await found(type="or", filters=[english, old]) == set(ids)
    assert await found(type="in", key="year", value=[1999]) == set()


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"name": "x" * 257}, "name"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ("", {"file_ids": ["file-none"]}, "file_id"),
        ("", {"file_ids": ["f"] * 501}, "file_ids"),
        ("/{id}/files", {"file_id": "x", "chunking_strategy": {"type": "fancy"}}, None),
        ("/{id}/search", {"query": "x", "max_num_results": 51}, "max_num_results"),
        ("/{id}/search", {"query": ""}, "query"),
        ("/{id}/search", {"query": "x", "filters": {"type": "like"}}, "filters.type"),
        (
            "/{id}/search",
            {"query": "x", "filters": {"type": "eq", "key": "k", "value": {}}},
            "filters.value",
        ),
        (
            "/{id}/search",
            {"query": "x", "filters": {"type": "in", "key": "k", "value": [None]}},
            "filters.value[0]",
        ),
        ("/{id}/files", {"file_id": "x", "attributes": {"a": {}}}, "attributes.a"),
        ("/{id}/file_batches", {}, "file_ids"),
        ("/{id}/file_batches", {"file_ids": []}, "file_ids"),
    ],
)
async def test_wrong_requests_are_refused(api, path, body, param):
    store = await ok(api.client.post(STORES, json={}))
    answer = await api.client.post(
        f"{STORES}{path.format(id=store['id'])}", json=body, sends_invalid=True
    )
    assert answer.status_code in (400, 404), answer.text
    if param is not None:
        assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("overlap", [-1, 401])
async def test_chunks_overlap_by_half_at_most(api, overlap):
    static = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": overlap}
    body = {"file_ids": [], "chunking_strategy": {"type": "static", "static": static}}
    error = await refused(api.client.post(STORES, json=body, sends_invalid=overlap < 0))
    assert error["param"] == "chunking_strategy.static.chunk_overlap_tokens"


async def test_store_holds_as_many_files_as_documented(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["file_search"], "files", 1)
    ids = [await upload(api), await upload(api)]
    error = await refused(api.client.post(STORES, json={"file_ids": ids}))
    assert "at most 1 files" in error["message"]


async def test_project_without_retention_gets_none(tmp_path):
    async with in_process(tmp_path / "state") as api:
        database = api.server.api.services.database
        project = await database.read(lambda c: c.scalar(select(projects.c.id)))
        await organization.set_zero_data_retention(database, project, on=True)
        error = await refused(api.client.post(STORES, json={}), 403)
    assert error["code"] == "zero_data_retention"


async def test_older_assistants_are_refused_by_their_header(api):
    headers = {"OpenAI-Beta": "assistants=v1"}
    error = await refused(api.client.get(STORES, headers=headers))
    assert error["code"] == "invalid_beta"
