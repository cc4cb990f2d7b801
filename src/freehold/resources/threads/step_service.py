"""Steps of runs: listed and looked at."""

from typing import Any

from sqlalchemy import Connection

from freehold.api.context import Context
from freehold.core.errors import NotFoundError
from freehold.core.page import page
from freehold.resources.threads import run_begin, step_store, step_view
from freehold.resources.threads.run_begin import Row
from freehold.storage.cursors import Cursor, Slice
from freehold.wire.runs import IncludeQuery, StepListParams


async def list_(
    context: Context, thread_id: str, run_id: str, query: StepListParams
) -> dict[str, Any]:
    """Return a page of the run's steps, newest first unless asked otherwise."""
    project = context.project_id

    def read(connection: Connection) -> tuple[Row, Slice]:
        run = run_begin.find(connection, project, thread_id, run_id)

        def seq(step_id: str | None, param: str) -> int | None:
            return None if step_id is None else _found(connection, run_id, step_id, param)["seq"]

        after, before = seq(query.after, "after"), seq(query.before, "before")
        cursor = Cursor(query.limit, query.order, after, before)
        return run, step_store.page(connection, run_id, cursor)

    run, got = await context.services.database.read(read)
    listed = [step_view.shown(row, run, results=bool(query.include)) for row in got.rows]
    return page(listed, query.limit) | {"has_more": got.more}


async def retrieve(
    context: Context, thread_id: str, run_id: str, step_id: str, query: IncludeQuery
) -> dict[str, Any]:
    """Return the step as it stands. Raises ``NotFoundError``."""
    project = context.project_id

    def read(connection: Connection) -> tuple[Row, Row]:
        run = run_begin.find(connection, project, thread_id, run_id)
        return run, _found(connection, run_id, step_id)

    run, row = await context.services.database.read(read)
    return step_view.shown(row, run, results=bool(query.include))


def _found(connection: Connection, run_id: str, step_id: str, param: str | None = None) -> Row:
    row = step_store.find(connection, run_id, step_id)
    if row is None:
        raise NotFoundError(f"No run step found with id '{step_id}'.", param=param)
    return row
