"""Threads over HTTP."""

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.threads import threads
from freehold.wire.threads import Thread, ThreadCreateParams, ThreadDeleted, ThreadUpdateParams


@operation("createThread")
async def create(context: Context, body: ThreadCreateParams) -> Thread:
    return await threads.create(context, body)


@operation("getThread")
async def retrieve(context: Context, thread_id: str) -> Thread:
    return await threads.retrieve(context, thread_id)


@operation("modifyThread")
async def update(context: Context, thread_id: str, body: ThreadUpdateParams) -> Thread:
    return await threads.update(context, thread_id, body)


@operation("deleteThread")
async def delete(context: Context, thread_id: str) -> ThreadDeleted:
    return await threads.delete(context, thread_id)
