"""Runs and their steps over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.api.sse import EventStream
from freehold.resources.threads import run_service, step_service
from freehold.wire.runs import (
    IncludeQuery,
    RunCreateParams,
    RunListParams,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    StepListParams,
    ThreadCreateAndRunParams,
)


@operation("createRun")
async def create(
    context: Context, thread_id: str, body: RunCreateParams, query: IncludeQuery
) -> dict[str, Any] | EventStream:
    return await run_service.create(context, thread_id, body, query)


@operation("createThreadAndRun")
async def create_and_run(
    context: Context, body: ThreadCreateAndRunParams
) -> dict[str, Any] | EventStream:
    return await run_service.create_and_run(context, body)


@operation("listRuns")
async def list_(context: Context, thread_id: str, query: RunListParams) -> dict[str, Any]:
    return await run_service.list_(context, thread_id, query)


@operation("getRun")
async def retrieve(context: Context, thread_id: str, run_id: str) -> dict[str, Any]:
    return await run_service.retrieve(context, thread_id, run_id)


@operation("modifyRun")
async def update(
    context: Context, thread_id: str, run_id: str, body: RunUpdateParams
) -> dict[str, Any]:
    return await run_service.update(context, thread_id, run_id, body)


@operation("cancelRun")
async def cancel(context: Context, thread_id: str, run_id: str) -> dict[str, Any]:
    return await run_service.cancel(context, thread_id, run_id)


@operation("submitToolOuputsToRun")
async def submit_tool_outputs(
    context: Context, thread_id: str, run_id: str, body: RunSubmitToolOutputsParams
) -> dict[str, Any] | EventStream:
    return await run_service.submit(context, thread_id, run_id, body)


@operation("listRunSteps")
async def list_steps(
    context: Context, thread_id: str, run_id: str, query: StepListParams
) -> dict[str, Any]:
    return await step_service.list_(context, thread_id, run_id, query)


@operation("getRunStep")
async def retrieve_step(
    context: Context, thread_id: str, run_id: str, step_id: str, query: IncludeQuery
) -> dict[str, Any]:
    return await step_service.retrieve(context, thread_id, run_id, step_id, query)
