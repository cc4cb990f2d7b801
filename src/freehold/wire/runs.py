"""Runs and their steps: what the operations on them take and answer."""

from typing import Annotated, Any, Literal

from pydantic import Tag

from freehold.wire.assistants import (
    AssistantResponseFormatOptionParam,
    AssistantToolParam,
    CursorQuery,
    ToolResources,
)
from freehold.wire.messages import MessageCreateParams
from freehold.wire.shared import Answer, Id, Params, Query, by_field, by_kind
from freehold.wire.threads import ThreadCreateParams

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]
RunStepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"]
RunStepInclude = Literal["step_details.tool_calls[*].file_search.results[*].content"]


class TruncationStrategy(Params):
    """Which messages of a thread a run begins with."""

    type: Literal["auto", "last_messages"]
    last_messages: int | None = None


class ToolChoiceFunction(Params):
    name: str


class AssistantToolChoice(Params):
    """A tool that must be called; ``function`` names one of the caller's own."""

    type: Literal["function", "code_interpreter", "file_search"]
    function: ToolChoiceFunction | None = None


AssistantToolChoiceOption = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<string>")]
    | Annotated[AssistantToolChoice, Tag("<object>")],
    by_kind("one of a string or object"),
]


class RunSettings(Params):
    """What both ways of creating a run take; each overrides the assistant's."""

    assistant_id: Id
    instructions: str | None = None
    max_completion_tokens: int | None = None
    max_prompt_tokens: int | None = None
    metadata: dict[str, str] | None = None
    model: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: AssistantResponseFormatOptionParam | None = None
    stream: bool | None = None
    temperature: float | None = None
    tool_choice: AssistantToolChoiceOption | None = None
    tools: list[AssistantToolParam] | None = None
    top_p: float | None = None
    truncation_strategy: TruncationStrategy | None = None


class RunCreateParams(RunSettings):
    """The body of ``createRun``."""

    additional_instructions: str | None = None
    additional_messages: list[MessageCreateParams] | None = None


class ThreadCreateAndRunParams(RunSettings):
    """The body of ``createThreadAndRun``."""

    thread: ThreadCreateParams | None = None
    tool_resources: ToolResources | None = None


class RunUpdateParams(Params):
    """The body of ``modifyRun``."""

    metadata: dict[str, str] | None = None


class ToolOutput(Params):
    output: str | None = None
    tool_call_id: str | None = None


class RunSubmitToolOutputsParams(Params):
    """The body of ``submitToolOuputsToRun``."""

    tool_outputs: list[ToolOutput]
    stream: bool | None = None


class IncludeQuery(Query):
    """The query of operations that may show what a file search found."""

    include: list[RunStepInclude] | None = None


class RunListParams(CursorQuery):
    """The query of ``listRuns``."""


class StepListParams(CursorQuery):
    """The query of ``listRunSteps``."""

    include: list[RunStepInclude] | None = None


class Usage(Answer):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int


class LastError(Answer):
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(Answer):
    reason: Literal["max_completion_tokens", "max_prompt_tokens"] | None = None


class RequiredFunction(Answer):
    arguments: str
    name: str


class RequiredActionFunctionToolCall(Answer):
    id: str
    function: RequiredFunction
    type: Literal["function"]


class RequiredActionSubmitToolOutputs(Answer):
    tool_calls: list[RequiredActionFunctionToolCall]


class RequiredAction(Answer):
    submit_tool_outputs: RequiredActionSubmitToolOutputs
    type: Literal["submit_tool_outputs"]


class Run(Answer):
    """A run as it stands."""

    id: str
    object: Literal["thread.run"]
    assistant_id: str
    cancelled_at: int | None
    completed_at: int | None
    created_at: int
    expires_at: int | None
    failed_at: int | None
    incomplete_details: IncompleteDetails | None
    instructions: str
    last_error: LastError | None
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    metadata: dict[str, str] | None
    model: str
    parallel_tool_calls: bool
    required_action: RequiredAction | None
    response_format: AssistantResponseFormatOptionParam | None
    started_at: int | None
    status: RunStatus
    thread_id: str
    tool_choice: AssistantToolChoiceOption | None
    tools: list[AssistantToolParam]
    truncation_strategy: TruncationStrategy | None
    usage: Usage | None
    temperature: float | None = None
    top_p: float | None = None


class MessageCreation(Answer):
    message_id: str


class MessageCreationStepDetails(Answer):
    message_creation: MessageCreation
    type: Literal["message_creation"]


class CodeInterpreterLogs(Answer):
    logs: str
    type: Literal["logs"]


class OutputImage(Answer):
    file_id: str


class CodeInterpreterOutputImage(Answer):
    image: OutputImage
    type: Literal["image"]


CodeInterpreterOutput = Annotated[
    Annotated[CodeInterpreterLogs, Tag("<logs>")]
    | Annotated[CodeInterpreterOutputImage, Tag("<image>")],
    by_field("type", "logs", "image"),
]


class CodeInterpreter(Answer):
    input: str
    outputs: list[CodeInterpreterOutput]


class CodeInterpreterToolCall(Answer):
    id: str
    code_interpreter: CodeInterpreter
    type: Literal["code_interpreter"]


class FileSearchRankingOptions(Answer):
    ranker: Literal["default_2024_08_21"]
    score_threshold: float


class FileSearchResultContent(Answer):
    text: str | None = None
    type: Literal["text"] | None = None


class FileSearchResult(Answer):
    file_id: str
    file_name: str
    score: float
    content: list[FileSearchResultContent] | None = None


class FileSearch(Answer):
    ranking_options: FileSearchRankingOptions | None = None
    results: list[FileSearchResult] | None = None


class FileSearchToolCall(Answer):
    id: str
    file_search: FileSearch
    type: Literal["file_search"]


class CalledFunction(Answer):
    arguments: str
    name: str
    output: str | None


class FunctionToolCall(Answer):
    id: str
    function: CalledFunction
    type: Literal["function"]


ToolCall = Annotated[
    Annotated[CodeInterpreterToolCall, Tag("<code_interpreter>")]
    | Annotated[FileSearchToolCall, Tag("<file_search>")]
    | Annotated[FunctionToolCall, Tag("<function>")],
    by_field("type", "code_interpreter", "file_search", "function"),
]


class ToolCallsStepDetails(Answer):
    tool_calls: list[ToolCall]
    type: Literal["tool_calls"]


StepDetails = Annotated[
    Annotated[MessageCreationStepDetails, Tag("<message_creation>")]
    | Annotated[ToolCallsStepDetails, Tag("<tool_calls>")],
    by_field("type", "message_creation", "tool_calls"),
]


class StepError(Answer):
    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class RunStep(Answer):
    """One thing that a run did: it wrote a message, or called tools."""

    id: str
    object: Literal["thread.run.step"]
    assistant_id: str
    cancelled_at: int | None
    completed_at: int | None
    created_at: int
    expired_at: int | None
    failed_at: int | None
    last_error: StepError | None
    metadata: dict[str, Any] | None
    run_id: str
    status: RunStepStatus
    step_details: StepDetails
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    usage: Usage | None
