"""Runs: created, listed, looked at, changed, cancelled and given outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.api.sse import EventStream
from freehold.core import clock, messages
from freehold.core.errors import BadRequestError
from freehold.core.ids import new_id
from freehold.core.page import page
from freehold.data import limits
from freehold.resources.assistants import rules, tool_resources
from freehold.resources.assistants import service as assistants
from freehold.resources.files import library
from freehold.resources.threads import (
    incoming,
    run_begin,
    run_end,
    run_store,
    run_view,
    store,
    stream,
    threads,
)
from freehold.storage.cursors import Cursor, Slice
from freehold.wire.assistants import Assistant
from freehold.wire.runs import (
    AssistantToolChoice,
    IncludeQuery,
    RunCreateParams,
    RunListParams,
    RunSettings,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
)
from freehold.wire.shared import Params
from freehold.wire.threads import ThreadCreateParams

Row = Mapping[str, Any]


async def create(
    context: Context, thread_id: str, body: RunCreateParams, query: IncludeQuery
) -> dict[str, Any] | EventStream:
    """Begin a run on a thread; as a stream, tell what it does. Raises where one is active."""
    project = context.project_id
    added = await incoming.prepare(context, body.additional_messages or (), "additional_messages")
    row = await _new_row(context, thread_id, body)
    if body.additional_instructions:
        told = (row["instructions"], body.additional_instructions)
        row["instructions"] = "\n".join(text for text in told if text)

    def unit(connection: Connection) -> None:
        thread = threads.found(store.lock(connection, project, thread_id), thread_id)
        _take(connection, thread, row["id"])
        incoming.add(connection, thread, added)

    new = run_begin.New(row, unit, results=bool(query.include))
    return await run_begin.answer(context, row["id"], new, told=bool(body.stream))


async def create_and_run(
    context: Context, body: ThreadCreateAndRunParams
) -> dict[str, Any] | EventStream:
    """Make a thread and begin a run on it."""
    library.refuse_without_retention(context)
    thread = await threads.prepare(context, body.thread or ThreadCreateParams(), "thread.")
    row = await _new_row(context, thread.row["id"], body)
    if body.tool_resources is not None:
        await tool_resources.check(context, body.tool_resources)
        row["tool_resources"] |= tool_resources.kept(body.tool_resources)

    def unit(connection: Connection) -> None:
        thread.insert(connection)
        store.begin_run(connection, thread.row["id"], row["id"])

    created = stream.frame("thread.created", threads.shown(thread.row).model_dump())
    new = run_begin.New(row, unit, first=created)
    return await run_begin.answer(context, row["id"], new, told=bool(body.stream))


async def list_(context: Context, thread_id: str, query: RunListParams) -> dict[str, Any]:
    """Return a page of the thread's runs, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> Slice:
        threads.found(store.find(connection, project, thread_id), thread_id)

        def seq(run_id: str | None, param: str) -> int | None:
            if run_id is None:
                return None
            return run_begin.find(connection, project, thread_id, run_id, param)["seq"]

        after, before = seq(query.after, "after"), seq(query.before, "before")
        cursor = Cursor(query.limit, query.order, after, before)
        return run_store.page(connection, thread_id, cursor)

    got = await context.services.database.read(read)
    return page([run_view.shown(row) for row in got.rows], query.limit) | {"has_more": got.more}


async def retrieve(context: Context, thread_id: str, run_id: str) -> dict[str, Any]:
    """Return the run as it stands. Raises ``NotFoundError``."""
    project = context.project_id
    row = await context.services.database.read(
        lambda c: run_begin.find(c, project, thread_id, run_id)
    )
    return run_view.shown(row)


async def update(
    context: Context, thread_id: str, run_id: str, body: RunUpdateParams
) -> dict[str, Any]:
    """Replace the metadata where it is given. Raises ``NotFoundError``."""
    project = context.project_id

    def unit(connection: Connection) -> Row:
        row = run_begin.find(connection, project, thread_id, run_id)
        if "metadata" in body.model_fields_set:
            run_store.change(connection, run_id, (row["status"],), metadata=body.metadata or {})
        return run_begin.find(connection, project, thread_id, run_id)

    return run_view.shown(await context.services.database.write(unit))


async def cancel(context: Context, thread_id: str, run_id: str) -> dict[str, Any]:
    """Begin to cancel; a run that waits for outputs ends at once."""
    project, services = context.project_id, context.services

    def unit(connection: Connection) -> Row:
        row = run_begin.find(connection, project, thread_id, run_id)
        if not run_end.cancel(connection, services.jobs, row):
            raise BadRequestError(f"Cannot cancel run with status '{row['status']}'.")
        return run_begin.find(connection, project, thread_id, run_id)

    row = await services.database.write(unit)
    services.jobs.wake()
    return run_view.shown(row)


async def submit(
    context: Context, thread_id: str, run_id: str, body: RunSubmitToolOutputsParams
) -> dict[str, Any] | EventStream:
    """Give a run the outputs that it waits for; as a stream, tell how it goes on."""
    outputs = run_begin.Outputs(context.project_id, thread_id, run_id, body.tool_outputs)
    return await run_begin.answer(context, run_id, outputs, told=bool(body.stream))


def _take(connection: Connection, thread: Row, run_id: str) -> None:
    """Make the run the one that is active on its thread."""
    if not store.begin_run(connection, thread["id"], run_id):
        raise BadRequestError(
            f"Thread {thread['id']} already has an active run {thread['active_run_id']}."
        )


async def _new_row(context: Context, thread_id: str, body: RunSettings) -> dict[str, Any]:
    """Return the row of a new run: what was given, and the rest as the assistant has it."""
    assistant = await assistants.retrieve(context, body.assistant_id)
    model = rules.check_model(context.services.registry, body.model or assistant.model)
    rules.check_tools(body.tools or ())
    rules.check_format(body.response_format)
    tools = assistant.tools
    if body.tools is not None:
        tools = [tool.given() for tool in body.tools]
    _check_choice(body, tools)
    _check_truncation(body)
    now = clock.now()
    principal = context.principal
    return run_view.new_row(
        {
            "id": new_id("run"),
            "thread_id": thread_id,
            "project_id": context.project_id,
            "organization_id": principal.organization_id,
            "api_key_id": principal.key_id,
            "user_id": principal.user_id,
            "assistant_id": assistant.id,
            "model": model.id,
            "tools": tools,
            "tool_resources": dict(assistant.tool_resources or {}),
            "created_at": now,
            "expires_at": now + limits.figure("runs", "lifetime_s"),
            **_overrides(body, assistant),
        }
    )


def _overrides(body: RunSettings, assistant: Assistant) -> dict[str, Any]:
    def either(given: Any, otherwise: Any) -> Any:
        if isinstance(given, Params):
            return given.given()
        return otherwise if given is None else given

    return {
        "instructions": either(body.instructions, assistant.instructions or ""),
        "response_format": either(body.response_format, assistant.response_format or "auto"),
        "temperature": either(body.temperature, assistant.temperature),
        "top_p": either(body.top_p, assistant.top_p),
        "sampling": _sampling(body, assistant),
        "max_prompt_tokens": body.max_prompt_tokens,
        "max_completion_tokens": body.max_completion_tokens,
        "truncation_strategy": {
            "type": "auto",
            "last_messages": None,
            **either(body.truncation_strategy, {}),
        },
        "tool_choice": either(body.tool_choice, "auto"),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "metadata": body.metadata or {},
    }


def _sampling(body: RunSettings, assistant: Assistant) -> dict[str, float]:
    """Return what was asked for; an assistant's 1 says nothing, so the model's own applies."""
    given = {"temperature": body.temperature, "top_p": body.top_p}
    kept = {"temperature": assistant.temperature, "top_p": assistant.top_p}
    asked = {name: kept[name] if value is None else value for name, value in given.items()}
    return {
        name: value
        for name, value in asked.items()
        if value is not None and (value != assistants.SAMPLING or given[name] is not None)
    }


def _check_choice(body: RunSettings, tools: Sequence[Row]) -> None:
    choice = body.tool_choice
    if choice == "required" and not tools:
        raise BadRequestError(
            "Invalid value for 'tool_choice': 'required' is only allowed when 'tools' are given.",
            param="tool_choice",
        )
    if not isinstance(choice, AssistantToolChoice):
        return
    wanted = choice.type
    if choice.type == "function":
        if choice.function is None:
            raise messages.missing("tool_choice.function")
        wanted = choice.function.name
    known = [t["function"]["name"] if t["type"] == "function" else t["type"] for t in tools]
    if wanted not in known:
        raise BadRequestError(
            f"Tool choice '{wanted}' not found in 'tools' parameter.", param="tool_choice"
        )


def _check_truncation(body: RunSettings) -> None:
    strategy = body.truncation_strategy
    if strategy is None:
        return
    if strategy.type == "last_messages" and strategy.last_messages is None:
        raise messages.missing("truncation_strategy.last_messages")
