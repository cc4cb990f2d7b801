"""Assistants: what the operations on them take and answer."""

from typing import Annotated, Any, Literal

from pydantic import Tag

from freehold.wire.chat import ResponseFormat
from freehold.wire.shared import (
    Answer,
    FunctionDefinition,
    Id,
    ListQuery,
    Params,
    by_field,
    by_kind,
)
from freehold.wire.vector_stores import FileChunkingStrategyParam


class CursorQuery(ListQuery):
    """One page of a list, newest first, behind ``after`` or right before ``before``."""

    before: str | None = None
    order: Literal["asc", "desc"] = "desc"


class CodeInterpreterToolParam(Params):
    type: Literal["code_interpreter"]


class RankingOptions(Params):
    score_threshold: float
    ranker: Literal["auto", "default_2024_08_21"] | None = None


class FileSearch(Params):
    max_num_results: int | None = None
    ranking_options: RankingOptions | None = None


class FileSearchToolParam(Params):
    type: Literal["file_search"]
    file_search: FileSearch | None = None


class FunctionToolParam(Params):
    type: Literal["function"]
    function: FunctionDefinition


AssistantToolParam = Annotated[
    Annotated[CodeInterpreterToolParam, Tag("<code_interpreter>")]
    | Annotated[FileSearchToolParam, Tag("<file_search>")]
    | Annotated[FunctionToolParam, Tag("<function>")],
    by_field("type", "code_interpreter", "file_search", "function"),
]
AssistantResponseFormatOptionParam = Annotated[
    Annotated[Literal["auto"], Tag("<string>")] | Annotated[ResponseFormat, Tag("<object>")],
    by_kind("one of a string or object"),
]


class ToolResourcesCodeInterpreter(Params):
    file_ids: list[Id] | None = None


class ToolResourcesFileSearch(Params):
    vector_store_ids: list[Id] | None = None


class ToolResources(Params):
    """The files and vector stores of an assistant's or a thread's tools."""

    code_interpreter: ToolResourcesCodeInterpreter | None = None
    file_search: ToolResourcesFileSearch | None = None


class ToolResourcesFileSearchVectorStore(Params):
    """A vector store to be made together with what it is for."""

    file_ids: list[Id] | None = None
    chunking_strategy: FileChunkingStrategyParam | None = None
    metadata: dict[str, str] | None = None


class ToolResourcesFileSearchParam(ToolResourcesFileSearch):
    vector_stores: list[ToolResourcesFileSearchVectorStore] | None = None


class ToolResourcesParam(Params):
    """As ``ToolResources``, for something new: its vector store can be made at once."""

    code_interpreter: ToolResourcesCodeInterpreter | None = None
    file_search: ToolResourcesFileSearchParam | None = None


class AssistantCreateParams(Params):
    """The body of ``createAssistant``. Documented limits are in ``limits.toml``."""

    model: str
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: list[AssistantToolParam] | None = None
    tool_resources: ToolResourcesParam | None = None
    metadata: dict[str, str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: AssistantResponseFormatOptionParam | None = None


class AssistantUpdateParams(Params):
    """The body of ``modifyAssistant``: what is left out stays, null is what it is by default."""

    model: str | None = None
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: list[AssistantToolParam] | None = None
    tool_resources: ToolResources | None = None
    metadata: dict[str, str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: AssistantResponseFormatOptionParam | None = None


class AssistantListParams(CursorQuery):
    """The query of ``listAssistants``."""


class Assistant(Answer):
    """An assistant; its tools and their resources are shown as they were given."""

    id: str
    object: Literal["assistant"]
    created_at: int
    name: str | None
    description: str | None
    model: str
    instructions: str | None
    tools: list[dict[str, Any]]
    tool_resources: dict[str, Any] | None
    metadata: dict[str, str] | None
    temperature: float | None
    top_p: float | None
    response_format: Literal["auto"] | dict[str, Any] | None


class AssistantDeleted(Answer):
    id: str
    object: Literal["assistant.deleted"]
    deleted: bool
