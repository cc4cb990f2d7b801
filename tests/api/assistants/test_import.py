"""``freehold import assistants``: what was exported is served under the ids it had."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from freehold.cli import main
from keeping import other_key

FILE = {
    "object": "file",
    "id": "file-Notes",
    "bytes": 10,
    "created_at": 1_700_000_000,
    "filename": "notes.txt",
    "purpose": "assistants",
}
OUTPUT = {"object": "file", "id": "file-Plot", "filename": "plot.png", "path": "made/1.png"}
STORE = {
    "object": "vector_store",
    "id": "vs_Old",
    "name": "Notes",
    "file_ids": ["file-Notes"],
    "status": "completed",
    "expires_after": None,
    "metadata": {},
}
ASSISTANT = {
    "id": "asst_Old",
    "object": "assistant",
    "created_at": 1_700_000_001,
    "name": "Old",
    "description": None,
    "model": "gpt-4-1106-preview",
    "instructions": "Be as you were.",
    "tools": [{"type": "file_search"}, {"type": "code_interpreter"}],
    "tool_resources": {
        "file_search": {"vector_store_ids": ["vs_Old"]},
        "code_interpreter": {"file_ids": ["file-Plot"]},
    },
    "metadata": {"k": "v"},
    "temperature": 0.5,
    "top_p": 1.0,
    "response_format": "auto",
    "reasoning_effort": None,
}


@pytest.fixture
def export(tmp_path):
    """Return the path of an export, whose lines come in no helpful order."""
    folder = tmp_path / "export"
    (folder / "made").mkdir(parents=True)
    (folder / "file-Notes").write_bytes(b"Two notes.")
    (folder / "made" / "1.png").write_bytes(b"picture")
    path = folder / "export.jsonl"
    lines = [ASSISTANT, STORE, FILE, OUTPUT | {"purpose": "assistants_output"}]
    path.write_text("\n\n".join(json.dumps(line) for line in lines))
    return path


@pytest.fixture
def freehold(tmp_path, start):
    """Return a function that runs the command on a state which a server has made."""

    async def run(*arguments):
        if not (tmp_path / "state").exists():
            await (await start()).server.stop()
        options = ["--state-dir", str(tmp_path / "state")]
        return await asyncio.to_thread(CliRunner().invoke, main, [*map(str, arguments), *options])

    return run


async def test_import_serves_everything_under_the_ids_it_had(freehold, export, start):
    result = await freehold("import", "assistants", export)
    assert result.exit_code == 0, result.output
    assert "Imported: assistants 1, vector stores 1, files 2." in result.output
    api = await start()
    key = await freehold("keys", "create")
    api.client.client.headers["Authorization"] = f"Bearer {key.output.split()[0]}"
    shown = (await api.client.get("/v1/assistants/asst_Old")).json()
    assert shown == {name: value for name, value in ASSISTANT.items() if name in shown}
    assert (await api.client.get("/v1/files/file-Notes")).json()["created_at"] == 1_700_000_000
    content = await api.client.get("/v1/files/file-Plot/content")
    assert content.content == b"picture"
    listed = (await api.client.get("/v1/vector_stores/vs_Old/files")).json()["data"]
    assert [one["id"] for one in listed] == ["file-Notes"]


async def test_second_import_leaves_alone_what_is_there(freehold, export, start):
    await freehold("import", "assistants", export)
    result = await freehold("import", "assistants", export)
    assert (result.exit_code, result.output.count("is there already")) == (0, 4)
    assert "Imported: assistants 0, " in result.output


async def test_what_can_not_be_imported_is_told_and_the_rest_is(freehold, export):
    (export.parent / "file-Notes").unlink()
    unknown = ASSISTANT | {"id": "asst_B", "model": "my-model", "tool_resources": {}}
    long = ASSISTANT | {"id": "asst_C", "name": "n" * 300, "tool_resources": {}}
    good = ASSISTANT | {"id": "asst_D", "tool_resources": {}}
    with export.open("a") as file:
        file.writelines("\n" + json.dumps(line) for line in (unknown, long, good))
    result = await freehold("import", "assistants", export)
    assert result.exit_code == 1
    told = dict(line.split("  ", 1) for line in result.output.splitlines() if "  " in line)
    assert told["file-Notes"].startswith("Its bytes are missing: ")
    assert told["vs_Old"] == "No such File object: file-Notes"
    assert told["asst_Old"] == "No vector store found with id 'vs_Old'."
    assert "`my-model` does not exist" in told["asst_B"]
    assert "string too long" in told["asst_C"]
    assert (told["file-Plot"], told["asst_D"]) == ("imported", "imported")


async def test_ids_of_another_project_are_not_taken(freehold, export, start):
    await freehold("import", "assistants", export)
    await other_key(await start())
    result = await freehold("import", "assistants", export, "--project", "proj_other")
    assert result.exit_code == 1
    assert result.output.count("Another project has this id.") == 3
    result = await freehold("import", "assistants", export, "--project", "proj_none")
    assert result.exit_code == 1
    assert "Error: There is no project proj_none.\n" in result.output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no JSON object"),
        ("[]", "is no JSON object"),
        ('{"object": "thread", "id": "t"}', 'that is one of "file", "vector_store", "assistant"'),
        ('{"object": "file"}', 'needs an "id"'),
    ],
)
async def test_file_that_is_no_export_changes_nothing(freehold, export, line, told):
    with export.open("a") as file:
        file.write(f"\n{line}\n")
    result = await freehold("import", "assistants", export)
    assert result.exit_code == 1
    assert told in result.output
    assert "imported" not in result.output
