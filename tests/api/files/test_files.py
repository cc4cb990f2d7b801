"""Files: uploaded, listed, looked at, fetched and deleted."""

import hashlib
import re

import pytest
from sqlalchemy import insert

from freehold.core import clock
from freehold.data import limits
from freehold.resources.organization import service as organization
from freehold.storage.tables import projects

LINES = b'{"messages": [{"role": "user", "content": "Hi"}]}\n'


async def uploaded(api, content=b"some text", filename="notes.txt", purpose="assistants"):
    """Return the file of an upload that must succeed."""
    answer = await api.client.post(
        "/v1/files", data={"purpose": purpose}, files={"file": (filename, content)}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(api, content=b"some text", filename="notes.txt", status=400, **data):
    """Return the error of an upload that must be refused, and leave nothing behind."""
    answer = await api.client.post(
        "/v1/files", data=data, files={"file": (filename, content)}, sends_invalid=True
    )
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def blobs(api):
    """Return the files below the folder of blobs."""
    folder = api.server.api.services.settings.state_dir / "blobs"
    return [path for path in folder.rglob("*") if path.is_file()]


async def other_key(api):
    """Return headers with the key of another project."""
    database = api.server.api.services.database
    mine = await organization.list_projects(database)
    project = {"id": "proj_other", "name": "Other", "created_at": 0}
    project["organization_id"] = mine[0]["organization_id"]
    await database.write(lambda c: c.execute(insert(projects), project))
    key = await organization.create_key(database, project_id="proj_other")
    return {"Authorization": f"Bearer {key.secret}"}


async def listed(api, query=""):
    answer = await api.client.get(f"/v1/files{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_file_is_described_as_it_was_sent(api):
    made = await uploaded(api, b"0123456789", "résumé “1”.txt", "assistants")
    assert re.fullmatch(r"file-\w{24}", made["id"])
    assert made | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "file",
        "bytes": 10,
        "created_at": 0,
        "filename": "résumé “1”.txt",
        "purpose": "assistants",
        "status": "processed",
    }
    answer = await api.client.get(f"/v1/files/{made['id']}")
    assert answer.json() == made


async def test_parts_of_the_form_come_in_any_order(api):
    files = {"file": ("a.jsonl", LINES), "purpose": (None, "fine-tune")}
    answer = await api.client.post("/v1/files", files=files)
    assert (answer.status_code, answer.json()["purpose"]) == (200, "fine-tune")


async def test_only_the_last_part_of_a_path_is_the_name(api):
    assert (await uploaded(api, filename="C:/docs/a b.txt"))["filename"] == "a b.txt"


async def test_filename_keeps_its_quotes(api):
    assert (await uploaded(api, filename='say "hi".txt'))["filename"] == 'say "hi".txt'


async def test_empty_file_is_a_file(api):
    made = await uploaded(api, b"", "empty.jsonl", "batch")
    answer = await api.client.get(f"/v1/files/{made['id']}/content")
    assert (made["bytes"], answer.content) == (0, b"")


@pytest.mark.parametrize(
    ("purpose", "filename"),
    [("batch", "lines.txt"), ("fine-tune", "lines"), ("vision", "notes.txt")],
)
async def test_extension_must_go_with_the_purpose(api, purpose, filename):
    error = await refused(api, filename=filename, purpose=purpose)
    assert error["param"] == "file"
    assert blobs(api) == []


@pytest.mark.parametrize("purpose", ["batch_output", "assistants_output", "user_data", ""])
async def test_purpose_must_be_one_that_clients_may_use(api, purpose):
    error = await refused(api, purpose=purpose)
    assert error["param"] == "purpose"
    assert "'assistants', 'batch', 'fine-tune', and 'vision'" in error["message"]


async def test_purpose_is_required(api):
    error = await refused(api)
    assert (error["param"], error["code"]) == ("purpose", "missing_required_parameter")


async def test_file_is_required(api):
    answer = await api.client.post(
        "/v1/files", files={"purpose": (None, "batch")}, sends_invalid=True
    )
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("file", "missing_required_parameter")


async def test_text_in_place_of_a_file_is_refused(api):
    files = {"purpose": (None, "assistants"), "file": (None, "text")}
    answer = await api.client.post("/v1/files", files=files, sends_invalid=True)
    assert answer.json()["error"]["message"].startswith("Invalid type for 'file'")


EXPIRY = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}


async def test_file_says_when_it_expires_and_is_gone_then(api, monkeypatch):
    form = {"purpose": "batch", **EXPIRY}
    answer = await api.client.post("/v1/files", data=form, files={"file": ("a.jsonl", LINES)})
    made = answer.json()
    assert made["expires_at"] == made["created_at"] + 3600
    assert [file["expires_at"] for file in (await listed(api))["data"]] == [made["expires_at"]]

    monkeypatch.setattr(clock, "now", lambda: made["expires_at"])

    assert (await listed(api))["data"] == []
    for path in (f"/v1/files/{made['id']}", f"/v1/files/{made['id']}/content"):
        assert (await api.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"expires_after[seconds]": "3599"}, "expires_after.seconds"),
        ({"expires_after[seconds]": "2592001"}, "expires_after.seconds"),
        ({"expires_after[seconds]": "-1"}, "expires_after.seconds"),
        ({"expires_after[seconds]": "9" * 5000}, "expires_after.seconds"),
        ({"expires_after[seconds]": "soon"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "last_active_at"}, "expires_after.anchor"),
        ({"expires_after[days]": "3"}, "expires_after[days]"),
    ],
)
async def test_wrong_expiry_is_refused(api, changed, param):
    assert (await refused(api, purpose="assistants", **EXPIRY | changed))["param"] == param
    assert blobs(api) == []


async def test_half_an_expiry_is_refused(api):
    half = {"expires_after[anchor]": "created_at"}
    assert (await refused(api, purpose="assistants", **half))["param"] == "expires_after.seconds"


async def test_unknown_field_is_refused(api):
    assert (await refused(api, purpose="assistants", colour="red"))["param"] == "colour"


async def test_second_file_is_refused(api):
    files = [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]
    answer = await api.client.post(
        "/v1/files", data={"purpose": "assistants"}, files=files, sends_invalid=True
    )
    assert answer.status_code == 400
    assert blobs(api) == []


async def test_body_must_be_a_form(api):
    answer = await api.client.post("/v1/files", content=b"{}", sends_invalid=True)
    assert answer.status_code == 415
    answer = await api.client.post(
        "/v1/files",
        content=b"{}",
        headers={"content-type": "application/json"},
        sends_invalid=True,
    )
    assert answer.json()["error"]["code"] == "unsupported_content_type"


BOUNDARY = {"content-type": "multipart/form-data; boundary=xx"}
HEAD = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not a form",
        HEAD,
        HEAD + b"half of it",
        b"--xx\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--xx--\r\n",
        b"--xx\r\nbad header\r\n\r\nx\r\n--xx--\r\n",
    ],
)
async def test_broken_form_is_refused_and_leaves_nothing(api, body):
    answer = await api.client.post("/v1/files", content=body, headers=BOUNDARY, sends_invalid=True)
    assert answer.status_code == 400
    assert "multipart form" in answer.json()["error"]["message"]
    assert blobs(api) == []
    assert (await listed(api))["data"] == []


TRAINING_FAULTS = [
    (b"", "The file is empty."),
    (LINES + b"nonsense\n", "Line 2 is not a dictionary"),
    (LINES + b"[1]\n" + LINES, "Line 2 is not a dictionary"),
    (LINES * 2 + b'{"prompt": "p"}', "Missing `messages` key on line 3"),
    (b'{"messages": [{"content": "x"}]}', "Missing `messages[].role` key on line 1"),
    (b'{"prompt": "p", "completion": "c"}\n{"prompt": "p"}', "Missing `completion` key on line 2"),
    (b'{"input": {}, "preferred_output": []}', "Missing `non_preferred_output` key on line 1"),
]


@pytest.mark.parametrize(("content", "message"), TRAINING_FAULTS)
@pytest.mark.parametrize("first", ["purpose", "file"])
async def test_training_data_is_checked_line_by_line(api, content, message, first):
    parts = {"purpose": (None, "fine-tune"), "file": ("a.jsonl", content)}
    files = {first: parts.pop(first), **parts}
    answer = await api.client.post("/v1/files", files=files, sends_invalid=True)
    error = answer.json()["error"]
    assert message in error["message"]
    assert (error["param"], error["code"]) == ("file", "invalid_file_format")
    assert blobs(api) == []


@pytest.mark.parametrize(
    "content",
    [
        LINES * 3,
        LINES + b"\n" + LINES.rstrip(),
        b'{"prompt": "p", "completion": "c"}\r\n' * 2,
        b'{"input": {}, "preferred_completion": [], "non_preferred_completion": []}',
    ],
)
async def test_good_training_data_is_taken(api, content):
    assert (await uploaded(api, content, "a.jsonl", "fine-tune"))["bytes"] == len(content)


async def test_lines_of_a_batch_are_left_to_the_batch(api):
    assert (await uploaded(api, b"nonsense", "a.jsonl", "batch"))["purpose"] == "batch"


async def test_file_beyond_the_limit_is_413_and_leaves_nothing(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["files"], "file_bytes", 100_000)
    await uploaded(api, b"x" * 100_000)
    error = await refused(api, b"x" * 100_001, status=413, purpose="assistants")
    assert error["code"] == "request_too_large"
    assert len(blobs(api)) == 1


async def test_body_beyond_the_limit_is_refused_by_its_declared_length(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["files"], "file_bytes", 1000)
    error = await refused(api, b"x" * 400_000, status=413, purpose="assistants")
    assert error["code"] == "request_too_large"


async def test_fields_of_a_form_do_not_pile_up(api):
    files = {"purpose": (None, b"x" * 1_000_000)}
    answer = await api.client.post("/v1/files", files=files, sends_invalid=True)
    assert answer.status_code == 400
    assert "too long" in answer.json()["error"]["message"]


async def test_batch_input_has_a_limit_of_its_own(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["files"], "batch_bytes", 1000)
    error = await refused(api, b"x" * 1001, "a.jsonl", purpose="batch")
    assert "Batch API" in error["message"]
    assert blobs(api) == []


async def test_organization_has_room_for_so_much(api, monkeypatch):
    monkeypatch.setitem(limits._figures()["files"], "organization_bytes", 1500)
    first = await uploaded(api, b"x" * 1000)
    error = await refused(api, b"x" * 501, purpose="assistants")
    assert error["code"] == "storage_limit_exceeded"
    assert len(blobs(api)) == 1
    await api.client.delete(f"/v1/files/{first['id']}")
    await uploaded(api, b"x" * 1500)


async def test_list_is_newest_first_in_pages(api):
    made = [(await uploaded(api, filename=f"{n}.txt"))["id"] for n in range(5)]
    first = await listed(api, "?limit=2")
    assert [file["id"] for file in first["data"]] == made[:2:-1]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, made[4], made[3])
    rest = await listed(api, f"?after={made[3]}")
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (made[2::-1], False)
    oldest = await listed(api, f"?order=asc&after={made[0]}&limit=3")
    assert [file["id"] for file in oldest["data"]] == made[1:4]


async def test_list_can_be_of_one_purpose(api):
    await uploaded(api)
    batch = await uploaded(api, b"{}", "a.jsonl", "batch")
    assert (await listed(api, "?purpose=batch"))["data"] == [batch]
    assert (await listed(api, "?purpose=vision"))["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up", "after=file-x"])
async def test_wrong_query_is_refused(api, query):
    answer = await api.client.get(f"/v1/files?{query}", sends_invalid=True)
    assert answer.json()["error"]["param"] == query.split("=")[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("GET", "/content")],
)
async def test_unknown_file_is_404(api, method, path):
    answer = await api.client.request(method, f"/v1/files/file-none{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "No such File object: file-none"


async def test_file_of_another_project_is_not_there(api):
    made = await uploaded(api, b"{}", "a.jsonl", "batch")
    headers = await other_key(api)
    for path in (f"/v1/files/{made['id']}", f"/v1/files/{made['id']}/content"):
        assert (await api.client.get(path, headers=headers)).status_code == 404
    assert (await api.client.get("/v1/files", headers=headers)).json()["data"] == []
    answer = await api.client.delete(f"/v1/files/{made['id']}", headers=headers)
    assert answer.status_code == 404
    assert len((await listed(api))["data"]) == 1


async def test_deleted_file_is_gone_with_its_bytes(api):
    made = await uploaded(api)
    answer = await api.client.delete(f"/v1/files/{made['id']}")
    assert answer.json() == {"id": made["id"], "object": "file", "deleted": True}
    assert (await api.client.get(f"/v1/files/{made['id']}")).status_code == 404
    assert blobs(api) == []


async def test_content_is_the_bytes(api):
    content = bytes(range(256)) * 10_000
    made = await uploaded(api, content, "picture.png", "vision")
    answer = await api.client.get(f"/v1/files/{made['id']}/content")
    assert answer.content == content
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["content-disposition"].startswith('attachment; filename="picture.png"')
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("bytes=5-2", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        (f"bytes=0-{'9' * 5000}", 200, b"0123456789"),
        (f"bytes=-{'9' * 5000}", 200, b"0123456789"),
    ],
)
async def test_range_is_answered_with_that_part(api, asked, status, content):
    made = await uploaded(api, b"0123456789", "a.jsonl", "batch")
    answer = await api.client.get(f"/v1/files/{made['id']}/content", headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, content)
    if status == 206:
        start = 10 - len(content) if asked.startswith("bytes=-") else int(asked[6])
        place = f"bytes {start}-{start + len(content) - 1}/10"
        assert answer.headers["content-range"] == place


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_range_beyond_the_end_is_416(api, asked):
    made = await uploaded(api, b"0123456789", "a.jsonl", "batch")
    path = f"/v1/files/{made['id']}/content"
    answer = await api.client.get(path, headers={"range": asked}, sends_invalid=True)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"


async def test_content_that_the_client_has_is_not_sent_again(api):
    made = await uploaded(api, b"0123456789", "a.jsonl", "batch")
    path = f"/v1/files/{made['id']}/content"
    tag = (await api.client.get(path)).headers["etag"]
    answer = await api.client.get(path, headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    answer = await api.client.get(path, headers={"range": "bytes=1-2", "if-range": tag})
    assert (answer.status_code, answer.content) == (206, b"12")
    answer = await api.client.get(path, headers={"range": "bytes=1-2", "if-range": '"old"'})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("purpose", "filename"), [("assistants", "a.txt"), ("fine-tune", "a.jsonl")]
)
async def test_content_of_some_purposes_is_not_given_out(api, purpose, filename):
    made = await uploaded(api, LINES, filename, purpose)
    answer = await api.client.get(f"/v1/files/{made['id']}/content", sends_invalid=True)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        f"Not allowed to download files of purpose: {purpose}"
    )


async def test_operator_may_give_out_more(start):
    api = await start(downloadable_purposes=["assistants"])
    made = await uploaded(api)
    assert (await api.client.get(f"/v1/files/{made['id']}/content")).content == b"some text"
