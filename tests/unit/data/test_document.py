"""The description and what is laid over it."""

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from freehold.data import document


def test_106_operations_of_2024_and_the_additions_are_counted_apart():
    origins = [operation.origin for operation in document.operations()]
    assert origins.count("2024-12-18") == 106
    assert origins.count("2026-08-21") == 8


def test_ids_and_routes_are_unique():
    operations = document.operations()
    assert len({operation.id for operation in operations}) == len(operations)
    assert len({(operation.method, operation.path) for operation in operations}) == len(operations)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("post", "/chat/completions", "createChatCompletion"),
        ("GET", "/chat/completions", "listChatCompletions"),
        ("GET", "/models/gpt-4o", "retrieveModel"),
        ("DELETE", "/models/ft:gpt-4o:me/mine", "deleteModel"),
        ("POST", "/threads/runs", "createThreadAndRun"),
        ("POST", "/threads/thread_1", "modifyThread"),
        ("GET", "/threads/thread_1/runs/run_1/steps", "listRunSteps"),
    ],
)
def test_operation_is_found_by_method_and_path(method, path, found):
    operation = document.find(method, path)
    assert operation is not None
    assert operation.id == found
    assert document.operation(found) is operation


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/engines"), ("PUT", "/models"), ("GET", "/models/"), ("GET", "/threads//runs")],
)
def test_undocumented_path_finds_nothing(method, path):
    assert document.find(method, path) is None


def test_bodies_are_found_by_content_type_and_status():
    reference = {"$ref": "#/components/schemas/CreateChatCompletionRequest"}
    assert document.request_schema("createChatCompletion") == reference
    assert document.request_schema("createChatCompletion", "multipart/form-data") is None
    assert document.request_schema("createFile", "multipart/form-data") is not None
    assert document.request_schema("listModels") is None
    answer = document.response_schema("listModels", 200)
    assert answer is not None
    assert document.resolve(answer) is document.schema("ListModelsResponse")
    assert document.response_schema("listModels", 201) is None
    assert [parameter["name"] for parameter in document.parameters("retrieveModel")] == ["model"]


def test_overlay_adds_properties_and_enum_values():
    fields = document.schema("CreateChatCompletionRequest")["properties"]
    assert fields["prompt_cache_key"] == {"type": "string", "nullable": True}
    assert {"auto", "default", "flex", "priority"} <= set(fields["service_tier"]["enum"])
    assert document.schema("CreateChatCompletionRequest")["required"] == ["model", "messages"]


def test_operation_takes_the_values_that_are_laid_over_its_body():
    body = document.request_schema("createBatch")
    assert body is not None
    endpoints = body["properties"]["endpoint"]["enum"]
    assert endpoints[-1] == "/v1/moderations"
    assert len(endpoints) == 4
    assert body["properties"]["output_expires_after"]["required"] == ["anchor", "seconds"]
    assert body["required"] == ["input_file_id", "endpoint", "completion_window"]


def test_overlay_leaves_the_rest_of_a_schema_alone():
    base = document._read("openapi.json")["components"]["schemas"]
    overlays = document._read("openapi-additions.json")["overlays"]
    assert all(document.schemas()[name] == base[name] for name in base if name not in overlays)
    for name in overlays:
        assert base[name]["properties"].keys() <= document.schema(name)["properties"].keys()


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for value in node:
            yield from references(value)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)


@pytest.mark.parametrize("name", ["openapi.json", "openapi-additions.json"])
def test_every_reference_leads_to_a_schema(name):
    found = set(references(document._read(name)))
    assert found
    for reference in found:
        assert document.resolve({"$ref": reference})


def test_additions_hold_no_prose():
    text = orjson.dumps(document._read("openapi-additions.json")).decode()
    assert '"x-oai' not in text
    assert '"summary"' not in text
    assert '"description":"' not in text


def test_additions_are_of_openapi_3_0():
    text = orjson.dumps(document._read("openapi-additions.json")).decode()
    assert '"type":"null"' not in text
    assert '"const"' not in text


def test_reading_takes_milliseconds():
    document._document.cache_clear()
    started = time.process_time()
    document.operations()
    assert time.process_time() - started < 0.1  # 3 ms on an idle machine
