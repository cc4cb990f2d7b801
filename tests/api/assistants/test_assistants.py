"""Assistants: what they are made of, listed, changed and deleted."""

import re

import pytest

from freehold.core import clock
from keeping import listed_by, made, other_key, refused, uploaded, without_retention

SCHEMA = {
    "type": "object",
    "properties": {"z": {"type": "string"}, "a": {"type": "integer"}},
    "required": ["z", "a"],
    "additionalProperties": False,
}
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
PATH = "/v1/assistants"


async def assistant(api, **fields):
    return await made(api, PATH, model="gpt-4o", **fields)


async def test_assistant_of_a_model_alone_has_the_documented_defaults(api):
    answer = await assistant(api)
    assert re.fullmatch(r"asst_\w{24}", answer["id"])
    assert abs(answer["created_at"] - clock.now()) <= 5
    assert answer | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "assistant",
        "created_at": 0,
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": None,
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
    }


async def test_assistant_is_shown_as_it_was_given(api):
    file = await uploaded(api)
    search = {"max_num_results": 9, "ranking_options": {"score_threshold": 0.5}}
    given = {
        "name": "n" * 256,
        "description": "ü" * 512,
        "instructions": "i" * 256_000,
        "tools": [
            {"type": "code_interpreter"},
            {"type": "file_search", "file_search": search},
            FUNCTION,
        ],
        "tool_resources": {"code_interpreter": {"file_ids": [file["id"]]}},
        "metadata": {str(number).zfill(64): "v" * 512 for number in range(16)},
        "temperature": 0.0,
        "top_p": 0.5,
        "response_format": FORMAT,
    }
    answer = await assistant(api, **given)
    assert {name: answer[name] for name in given} == given
    assert list(answer["tools"][2]["function"]["parameters"]["properties"]) == ["z", "a"]
    assert (await api.client.get(f"{PATH}/{answer['id']}")).json() == answer


async def test_null_inside_a_tool_or_format_counts_as_left_out(api):
    schema = {"type": "object", "properties": {"a": {"enum": [None, 1], "default": None}}}
    function = {"name": "f", "description": None, "parameters": schema, "strict": None}
    given = {
        "model": "gpt-4o",
        "tools": [
            {"type": "file_search", "file_search": {"ranking_options": None}},
            {"type": "function", "function": function},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "description": None, "schema": schema},
        },
    }
    created = (await api.client.client.post(PATH, json=given)).json()  # beyond the description
    answer = (await api.client.get(f"{PATH}/{created['id']}")).json()
    assert answer == created
    assert answer["tools"] == [
        {"type": "file_search", "file_search": {}},
        {"type": "function", "function": {"name": "f", "parameters": schema}},
    ]
    assert answer["response_format"]["json_schema"] == {"name": "s", "schema": schema}


async def test_update_changes_what_is_given_and_nothing_else(api):
    first = await assistant(api, name="A", instructions="Be brief.", tools=[FUNCTION])
    path = f"{PATH}/{first['id']}"
    changed = await made(api, path, description="new", temperature=0.5)
    assert changed == first | {"description": "new", "temperature": 0.5}
    changed = await made(api, path, model="gpt-4o-mini", metadata={"k": "v"}, tools=[])
    assert changed["metadata"] == {"k": "v"}
    assert (changed["model"], changed["tools"], changed["name"]) == ("gpt-4o-mini", [], "A")
    assert (await api.client.get(path)).json() == changed


async def test_null_in_an_update_brings_the_default_back(api):
    given = {"name": "A", "temperature": 0.1, "metadata": {"k": "v"}, "response_format": FORMAT}
    first = await assistant(api, **given)
    nothing = dict.fromkeys(given) | {"model": None}
    changed = await made(api, f"{PATH}/{first['id']}", **nothing)
    plain = {"name": None, "temperature": 1.0, "metadata": {}, "response_format": "auto"}
    assert changed == first | plain


async def test_resources_of_one_tool_are_changed_without_those_of_another(api):
    file, other = await uploaded(api), await uploaded(api)
    files = {"code_interpreter": {"file_ids": [file["id"]]}}
    first = await assistant(api, tool_resources=files)
    path = f"{PATH}/{first['id']}"
    await made(api, path, tool_resources={"file_search": {"vector_store_ids": []}})
    changed = await made(api, path, tool_resources={"code_interpreter": {"file_ids": []}})
    empty = {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}}
    assert changed["tool_resources"] == empty
    files = {"code_interpreter": {"file_ids": [other["id"], other["id"]]}}
    changed = await made(api, path, tool_resources=files)
    assert changed["tool_resources"]["code_interpreter"]["file_ids"] == [other["id"]]
    assert (await made(api, path, tool_resources=None))["tool_resources"] == {}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"name": "n" * 257}, "name", "string_above_max_length"),
        ({"description": "d" * 513}, "description", "string_above_max_length"),
        ({"instructions": "i" * 256_001}, "instructions", "string_above_max_length"),
        ({"instructions": "a\0b"}, "instructions", "invalid_value"),
        (
            {"tools": [FUNCTION | {"function": {"name": f"f{n}"}} for n in range(129)]},
            "tools",
            "array_above_max_length",
        ),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1]", "invalid_value"),
        ({"tools": [{"type": "file_search"}] * 2}, "tools[1]", "invalid_value"),
        ({"tools": [{"type": "browser"}]}, "tools[0].type", "invalid_value"),
        (
            {"tools": [{"type": "file_search", "file_search": {"max_num_results": 51}}]},
            "tools[0].file_search.max_num_results",
            "integer_above_max_value",
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": {}, "strict": True},
                    }
                ]
            },
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
        (
            {"tool_resources": {"code_interpreter": {"file_ids": ["file-x"] * 21}}},
            "tool_resources.code_interpreter.file_ids",
            "array_above_max_length",
        ),
        (
            {"tool_resources": {"file_search": {"vector_store_ids": ["vs_x", "vs_y"]}}},
            "tool_resources.file_search.vector_store_ids",
            "array_above_max_length",
        ),
        (
            {"metadata": {str(n): "" for n in range(17)}},
            "metadata",
            "object_above_max_properties",
        ),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 65}", "property_name_above_max_length"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"top_p": -0.1}, "top_p", "decimal_below_min_value"),
        ({"response_format": "json"}, "response_format", "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"model": "whisper-1"}, "model", "unsupported_model"),
        ({"extra": 1}, None, None),
    ],
)
async def test_what_is_beyond_the_document_is_refused(shared, fields, param, code):
    error = await refused(shared, PATH, **{"model": "gpt-4o", **fields})
    assert (error["param"], error["code"]) == (param, code)
    before = (await shared.client.get(PATH)).json()["data"]
    assert before == []


async def test_strict_schema_of_an_answer_must_be_closed(shared):
    unclosed = {"name": "s", "schema": {"type": "object", "properties": {}}, "strict": True}
    wanted = {"type": "json_schema", "json_schema": unclosed}
    error = await refused(shared, PATH, model="gpt-4o", response_format=wanted)
    assert error["message"].startswith("Invalid schema for response_format 's': In context=()")


async def test_model_must_exist(shared):
    error = await refused(shared, PATH, status=404, model="gpt-99")
    assert error["code"] == "model_not_found"
    assert "`gpt-99` does not exist" in error["message"]


async def test_files_must_exist_and_be_for_tools(api):
    resources = {"code_interpreter": {"file_ids": ["file-gone"]}}
    error = await refused(api, PATH, status=404, model="gpt-4o", tool_resources=resources)
    assert error["param"] == "tool_resources.code_interpreter.file_ids[0]"
    file = await uploaded(api, b'{"messages": [{"role": "user"}]}\n', "a.jsonl", "fine-tune")
    resources = {"code_interpreter": {"file_ids": [file["id"]]}}
    error = await refused(api, PATH, model="gpt-4o", tool_resources=resources)
    assert "has the purpose 'fine-tune'" in error["message"]


async def test_vector_store_is_made_with_the_assistant(api):
    file = await uploaded(api)
    static = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}
    inline = {
        "file_ids": [file["id"]],
        "chunking_strategy": {"type": "static", "static": static},
        "metadata": {"k": "v"},
    }
    resources = {"file_search": {"vector_stores": [inline]}}
    first = await assistant(api, tools=[{"type": "file_search"}], tool_resources=resources)
    [store_id] = first["tool_resources"]["file_search"]["vector_store_ids"]
    store = (await api.client.get(f"/v1/vector_stores/{store_id}")).json()
    assert store["metadata"] == {"k": "v"}
    assert store.get("expires_at") is None
    kept = (await api.client.get(f"/v1/vector_stores/{store_id}/files")).json()["data"]
    assert [one["id"] for one in kept] == [file["id"]]
    assert kept[0]["chunking_strategy"]["static"] == static
    resources = {"file_search": {"vector_store_ids": [store_id]}}
    second = await assistant(api, tool_resources=resources)
    assert second["tool_resources"] == resources
    await api.client.delete(f"{PATH}/{first['id']}")
    assert (await api.client.get(f"/v1/vector_stores/{store_id}")).status_code == 200


@pytest.mark.parametrize(
    ("search", "status", "param"),
    [
        (
            {"vector_store_ids": ["vs_gone"]},
            404,
            "tool_resources.file_search.vector_store_ids",
        ),
        (
            {"vector_store_ids": ["vs_gone"], "vector_stores": [{}]},
            400,
            "tool_resources.file_search",
        ),
        ({"vector_stores": [{}, {}]}, 400, "tool_resources.file_search.vector_stores"),
        ({"vector_stores": [{"file_ids": ["file-gone"]}]}, 404, "file_id"),
        (
            {"vector_stores": [{"chunking_strategy": {"type": "none"}}]},
            400,
            "tool_resources.file_search.vector_stores[0].chunking_strategy.type",
        ),
    ],
)
async def test_vector_store_that_can_not_be_is_refused(shared, search, status, param):
    resources = {"file_search": search}
    error = await refused(shared, PATH, status=status, model="gpt-4o", tool_resources=resources)
    assert error["param"] == param
    assert (await shared.client.get(PATH)).json()["data"] == []


async def test_assistants_are_listed_between_cursors_newest_first(api):
    ids = [(await assistant(api, name=str(n)))["id"] for n in range(5)]
    await listed_by(api, PATH, ids)


async def test_deleted_assistant_is_gone_and_its_files_stay(api):
    file = await uploaded(api)
    resources = {"code_interpreter": {"file_ids": [file["id"]]}}
    gone = await assistant(api, tool_resources=resources)
    path = f"{PATH}/{gone['id']}"
    answer = await api.client.delete(path)
    assert answer.json() == {"id": gone["id"], "object": "assistant.deleted", "deleted": True}
    for answer in (
        await api.client.get(path),
        await api.client.post(path, json={"name": "x"}),
        await api.client.delete(path),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"No assistant found with id '{gone['id']}'."
    assert (await api.client.get(f"/v1/files/{file['id']}")).status_code == 200


async def test_assistant_of_another_project_is_not_found(api):
    mine = await assistant(api)
    headers = await other_key(api)
    answer = await api.client.get(f"{PATH}/{mine['id']}", headers=headers)
    assert answer.status_code == 404
    assert (await api.client.get(PATH, headers=headers)).json()["data"] == []
    answer = await api.client.get(f"{PATH}?after={mine['id']}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "after")


async def test_project_without_retention_has_no_assistants(api):
    existing = await assistant(api)
    await without_retention(api)
    for path in (PATH, f"{PATH}/{existing['id']}"):
        error = await refused(api, path, status=403, model="gpt-4o")
        assert error["code"] == "zero_data_retention"


@pytest.mark.parametrize("path", [PATH, "/v1/threads/thread_x"])
async def test_first_version_of_the_api_is_refused(shared, path):
    answer = await shared.client.get(path, headers={"OpenAI-Beta": "assistants=v1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_beta")
    answer = await shared.client.get(path, headers={"OpenAI-Beta": "assistants=v2"})
    assert answer.status_code in (200, 404)
