"""Each wire type has the fields, required fields, kinds and enums of the API description.

Both sides are laid out flat: the path of every value, what it may be and whether it must be there.
A union's branches are told apart by their ``role`` or ``type``.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pydantic import BaseModel

from freehold.data import document
from freehold.wire import assistants, completions, messages, threads, vector_stores
from freehold.wire.chat import ChatCompletion, CompletionCreateParams
from freehold.wire.chat_chunk import ChatCompletionChunk
from freehold.wire.embeddings import CreateEmbeddingResponse, EmbeddingCreateParams
from freehold.wire.files import FileCreateParams, FileDeleted, FileObject
from freehold.wire.models import Model, ModelDeleted, ModelList
from freehold.wire.moderations import ModerationCreateParams
from freehold.wire.runs import (
    Run,
    RunCreateParams,
    RunStep,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
)
from freehold.wire.stored import ChatCompletionDeleted
from freehold.wire.uploads import Upload, UploadCompleteParams, UploadCreateParams, UploadPart

Node = dict[str, Any]
Resolve = Callable[[Node], Node]
Layout = dict[str, tuple[bool, frozenset[str]]]

MODELS = {
    f"={name}"
    for name in ("gpt-4o", "davinci-002", "text-embedding-3-small", "omni-moderation-latest")
}
ABSENT = (False, frozenset[str]())

ALWAYS_SENT = "our usage always has both details objects in full"
PAIRS = "any object by its schema, pairs of text by its words"
AS_GIVEN = "shown as it was given: the request's type has checked it"
ONE_OF = "its oneOf only says that one of the two must be there"
FILE = "required, which the description says of the array instead of its items"
HELPERS = "the official clients' helpers send it back with an answer"
TYPED = {
    CompletionCreateParams: (
        "CreateChatCompletionRequest",
        {
            "audio*": "refused whole, so its inside is not looked at",
            "logit_bias.*": "a bias between two integers is taken too",
            "messages[[]]<assistant>.annotations*": HELPERS,
            "messages[[]]<assistant>.parsed": HELPERS,
            "messages[[]]<assistant>.tool_calls[[]].function.parsed_arguments": HELPERS,
            "messages[[]]<assistant>.tool_calls[[]].index": HELPERS,
            "moderation*": "refused whole, so its inside is not looked at",
            "prompt_cache_options*": "taken without effect, so its inside is not looked at",
            "prompt_cache_retention": "taken without effect whatever it says",
            "web_search_options*": "refused whole, so its inside is not looked at",
        },
    ),
    ChatCompletion: (
        "CreateChatCompletionResponse",
        {"usage.*_details.*": ALWAYS_SENT},
    ),
    ChatCompletionChunk: (
        "CreateChatCompletionStreamResponse",
        {
            "usage.*_details.*": ALWAYS_SENT,
        },
    ),
    ChatCompletionDeleted: ("ChatCompletionDeleted", {}),
    completions.CompletionCreateParams: (
        "CreateCompletionRequest",
        {
            "logit_bias.*": "a bias between two integers is taken too",
            "prompt": "required there, but with a default for where it is not given",
        },
    ),
    completions.Completion: (
        "CreateCompletionResponse",
        {
            "choices[].finish_reason": "null in chunks",
            "choices*.to*_logprobs*": "null for the first token of an echoed prompt",
            "usage.*_details.*": ALWAYS_SENT,
        },
    ),
    EmbeddingCreateParams: ("CreateEmbeddingRequest", {}),
    CreateEmbeddingResponse: (
        "CreateEmbeddingResponse",
        {"data[].embedding": "a string where encoding_format is base64"},
    ),
    FileCreateParams: ("CreateFileRequest", {"file": "a part of the form, beside its fields"}),
    FileObject: (
        "OpenAIFile",
        {
            "status*": "we have no file that is not processed",
            "status_details": "deprecated, and there is nothing to say",
        },
    ),
    FileDeleted: ("DeleteFileResponse", {}),
    UploadCreateParams: ("CreateUploadRequest", {}),
    UploadCompleteParams: ("CompleteUploadRequest", {}),
    Upload: (
        "Upload",
        {
            "file*": "as a file by itself",
            "object": "optional in its schema, always sent",
            "purpose": "any string by the description",
        },
    ),
    UploadPart: ("UploadPart", {}),
    assistants.AssistantCreateParams: (
        "CreateAssistantRequest",
        {"metadata.*": PAIRS, "tool_resources.file_search*": ONE_OF},
    ),
    assistants.AssistantUpdateParams: ("ModifyAssistantRequest", {"metadata.*": PAIRS}),
    assistants.Assistant: (
        "AssistantObject",
        {
            "metadata.*": PAIRS,
            "response_format*": AS_GIVEN,
            "temperature": "optional in its schema, always sent",
            "tool_resources*": AS_GIVEN,
            "tools[[]]*": AS_GIVEN,
            "top_p": "optional in its schema, always sent",
        },
    ),
    assistants.AssistantDeleted: ("DeleteAssistantResponse", {}),
    threads.ThreadCreateParams: (
        "CreateThreadRequest",
        {
            "messages[[]].attachments[[]].file_id": FILE,
            "messages[[]].metadata.*": PAIRS,
            "metadata.*": PAIRS,
            "tool_resources.file_search*": ONE_OF,
        },
    ),
    threads.ThreadUpdateParams: ("ModifyThreadRequest", {"metadata.*": PAIRS}),
    threads.Thread: ("ThreadObject", {"metadata.*": PAIRS, "tool_resources*": AS_GIVEN}),
    threads.ThreadDeleted: ("DeleteThreadResponse", {}),
    messages.MessageCreateParams: (
        "CreateMessageRequest",
        {"attachments[[]].file_id": FILE, "metadata.*": PAIRS},
    ),
    messages.MessageUpdateParams: ("ModifyMessageRequest", {"metadata.*": PAIRS}),
    messages.Message: ("MessageObject", {"attachments[[]].file_id": FILE, "metadata.*": PAIRS}),
    messages.MessageDeleted: ("DeleteMessageResponse", {}),
    ModerationCreateParams: ("CreateModerationRequest", {}),
    vector_stores.VectorStoreCreateParams: ("CreateVectorStoreRequest", {"metadata.*": PAIRS}),
    vector_stores.VectorStoreUpdateParams: ("UpdateVectorStoreRequest", {"metadata.*": PAIRS}),
    vector_stores.VectorStore: (
        "VectorStoreObject",
        {"last_active_at": "null by the description, but there is always one", "metadata.*": PAIRS},
    ),
    vector_stores.VectorStoreDeleted: ("DeleteVectorStoreResponse", {}),
    vector_stores.FileCreateParams: ("CreateVectorStoreFileRequest", {}),
    vector_stores.FileUpdateParams: ("UpdateVectorStoreFileAttributesRequest", {}),
    vector_stores.VectorStoreFile: (
        "VectorStoreFileObject",
        {
            "attributes*": "optional in its schema, always sent",
            "chunking_strategy*": "optional in its schema, always sent; we know it of every file",
        },
    ),
    vector_stores.VectorStoreFileDeleted: ("DeleteVectorStoreFileResponse", {}),
    vector_stores.FileBatchCreateParams: (
        "CreateVectorStoreFileBatchRequest",
        {"file_ids": "required, which the newer description says of it or `files`"},
    ),
    vector_stores.VectorStoreFileBatch: ("VectorStoreFileBatchObject", {}),
    vector_stores.FileContent: (
        "VectorStoreFileContentResponse",
        {"data[].*": "optional in its schema, always sent"},
    ),
    vector_stores.SearchResults: (
        "VectorStoreSearchResultsPage",
        {"data[].attributes": "null by the description, but there are always some, or none"},
    ),
    RunCreateParams: (
        "CreateRunRequest",
        {
            "additional_messages[[]].attachments[[]].file_id": FILE,
            "*metadata.*": PAIRS,
        },
    ),
    ThreadCreateAndRunParams: (
        "CreateThreadAndRunRequest",
        {
            "thread.messages[[]].attachments[[]].file_id": FILE,
            "thread.tool_resources.file_search*": ONE_OF,
            "*metadata.*": PAIRS,
        },
    ),
    RunUpdateParams: ("ModifyRunRequest", {"metadata.*": PAIRS}),
    RunSubmitToolOutputsParams: ("SubmitToolOutputsRunRequest", {}),
    Run: (
        "RunObject",
        {
            "metadata.*": PAIRS,
            "response_format": "nullable beside its reference",
            "tool_choice": "nullable beside its reference",
            "truncation_strategy": "nullable beside its reference",
        },
    ),
    RunStep: ("RunStepObject", {}),
    Model: ("Model", {}),
    ModelList: ("ListModelsResponse", {}),
    ModelDeleted: (
        "DeleteModelResponse",
        {"object": 'any string by the description, "model" in its example'},
    ),
}


def layout(node: Node, resolve: Resolve) -> Layout:
    found: Layout = {}
    for path, required, facts in _walk(node, resolve, "", required=True):
        known = found.get(path, (required, frozenset()))
        found[path] = (known[0] and required, known[1] | facts)
    return found


def _walk(
    node: Node, resolve: Resolve, path: str, *, required: bool
) -> Iterator[tuple[str, bool, frozenset[str]]]:
    node = resolve(node)
    branches = [resolve(branch) for branch in node.get("anyOf", node.get("oneOf", []))]
    if node.get("nullable") or {"type": "null"} in branches:
        yield path, required, frozenset({"null"})
    objects = [branch for branch in branches if "properties" in branch]
    for branch in branches:
        place = path + _label(branch, resolve) if len(objects) > 1 else path
        yield from _walk(branch, resolve, place, required=required)
    if not branches and node.get("type") != "null":
        yield path, required, _facts(node)
        yield from _inside(node, resolve, path)


def _inside(node: Node, resolve: Resolve, path: str) -> Iterator[tuple[str, bool, frozenset[str]]]:
    for name, child in node.get("properties", {}).items():
        inner = f"{path}.{name}".removeprefix(".")
        yield from _walk(child, resolve, inner, required=name in node.get("required", []))
    if "items" in node:
        yield from _walk(node["items"], resolve, f"{path}[]", required=True)
    if isinstance(node.get("additionalProperties"), dict):
        yield from _walk(node["additionalProperties"], resolve, f"{path}.*", required=True)


def _label(branch: Node, resolve: Resolve) -> str:
    for name in ("role", "type"):
        if name in branch.get("properties", {}):
            return f"<{','.join(_values(resolve(branch['properties'][name])))}>"
    return ""


def _facts(node: Node) -> frozenset[str]:
    kind = node.get("type", "object" if "properties" in node else "anything")
    return frozenset({kind, *(f"={value}" for value in _values(node))})


def _values(node: Node) -> list[str]:
    return [node["const"]] if "const" in node else node.get("enum", [])


def of_document(name: str) -> Layout:
    return layout(document.schema(name), document.resolve)


def of_wire(wire: type[BaseModel]) -> Layout:
    schema = wire.model_json_schema()

    def resolve(node: Node) -> Node:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return node

    return layout(schema, resolve)


def differences(wire: type[BaseModel], name: str) -> Iterator[str]:
    mine, theirs = of_wire(wire), of_document(name)
    for path in sorted(mine.keys() | theirs.keys()):
        if not _same(mine.get(path, ABSENT), theirs.get(path, ABSENT)):
            yield path


def _same(mine: tuple[bool, frozenset[str]], theirs: tuple[bool, frozenset[str]]) -> bool:
    """An optional value may be null here: requests may say so, and answers leave it out."""
    spare = frozenset() if mine[0] else frozenset({"null"})
    return mine[0] == theirs[0] and _known(mine[1]) - spare == _known(theirs[1]) - spare


def _known(facts: frozenset[str]) -> frozenset[str]:
    """A model's name: of ``any string`` or ``one of these``, the former is what counts."""
    names = {fact for fact in facts if fact.startswith("=")}
    return facts - names if names & MODELS else facts


@pytest.mark.parametrize("wire", TYPED)
def test_wire_type_is_as_described(wire):
    name, tolerated = TYPED[wire]
    found = {
        path
        for path in differences(wire, name)
        if not any(fnmatchcase(path, pattern) for pattern in tolerated)
    }
    assert not found


@pytest.mark.parametrize("wire", TYPED)
def test_every_tolerance_is_needed(wire):
    name, tolerated = TYPED[wire]
    found = list(differences(wire, name))
    for pattern in tolerated:
        assert any(fnmatchcase(path, pattern) for path in found), pattern


def test_a_difference_is_seen():
    class Narrow(BaseModel):
        id: str
        created: str
        object: str
        owned_by: str | None = None

    assert list(differences(Narrow, "Model")) == ["created", "object", "owned_by"]


def test_layout_reaches_into_unions_and_arrays():
    paths = of_wire(CompletionCreateParams)
    assert paths["messages[]<user>.content[]<image_url>.image_url.detail"][1] == {
        "string",
        "null",
        "=auto",
        "=low",
        "=high",
    }
    assert paths["tools[].function.name"] == (True, frozenset({"string"}))
