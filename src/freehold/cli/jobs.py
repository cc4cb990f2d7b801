"""``freehold jobs``: durable jobs, also while the server runs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Connection, Row

from freehold.cli import database, table
from freehold.cli.options import with_settings
from freehold.core import clock
from freehold.core.settings import Loaded
from freehold.jobs import store
from freehold.storage import tables

_STATES = (*store.LIVE, *store.ENDED)


@click.group()
def jobs() -> None:
    """List, show, retry and cancel durable jobs."""


_LIST = """\b
Example:
  freehold jobs list
  freehold jobs list --state failed --limit 5
"""


@jobs.command("list", epilog=_LIST)
@click.option("--state", type=click.Choice(_STATES), multiple=True, help="Only jobs in this state.")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
@with_settings()
def list_(loaded: Loaded, state: tuple[str, ...], limit: int) -> None:
    """List jobs, the newest first; unless told otherwise those that wait or run."""
    states = state or store.LIVE
    rows = database.run(
        loaded.settings,
        lambda db: db.read(lambda c: store.newest(c, states=states, limit=limit)),
    )
    table.show(
        ("ID", "KIND", "ABOUT", "PROJECT", "STATE", "NOT BEFORE", "ERROR"),
        [
            (
                row.id,
                row.kind,
                row.key or "-",
                row.project_id or "-",
                _state(row),
                _time(row.run_at),
                row.error or "",
            )
            for row in rows
        ],
    )


_SHOW = """\b
Example:
  freehold jobs show job_abc123
"""


@jobs.command(epilog=_SHOW)
@click.argument("job_id", metavar="ID")
@with_settings()
def show(loaded: Loaded, job_id: str) -> None:
    """Show all that is known of a job."""
    row = database.run(loaded.settings, lambda db: db.read(lambda c: store.find(c, job_id)))
    if row is None:
        raise click.ClickException(f"There is no job {job_id}.")
    for name in (column.name for column in tables.jobs.c):
        value = getattr(row, name)
        if name.endswith("_at"):
            value = _time(value)
        elif not isinstance(value, str):
            value = json.dumps(value)
        click.echo(f"{name:18}{value}")


_RETRY = """\b
Example:
  freehold jobs retry job_abc123
"""


@jobs.command(epilog=_RETRY)
@click.argument("job_id", metavar="ID")
@with_settings()
def retry(loaded: Loaded, job_id: str) -> None:
    """Run a failed or cancelled job again. What it was about may have ended with it."""
    _change(
        loaded, job_id, store.retry, "has not failed and was not cancelled, another took its place"
    )
    click.echo(f"{job_id} is queued again.")


_CANCEL = """\b
Example:
  freehold jobs cancel job_abc123
"""


@jobs.command(epilog=_CANCEL)
@click.argument("job_id", metavar="ID")
@with_settings()
def cancel(loaded: Loaded, job_id: str) -> None:
    """End a job that waits or runs. Its worker does so within seconds."""
    _change(loaded, job_id, store.request_cancel, "does not wait or run")
    click.echo(f"{job_id} will be cancelled.")


def _change(
    loaded: Loaded, job_id: str, change: Callable[[Connection, str, int], bool], otherwise: str
) -> None:
    now = clock.now()
    changed = database.run(loaded.settings, lambda db: db.write(lambda c: change(c, job_id, now)))
    if not changed:
        raise click.ClickException(f"{job_id} {otherwise}, or there is no such job.")


def _state(row: Row[Any]) -> str:
    return "cancelling" if row.state in store.LIVE and row.cancel_requested else row.state


def _time(at: int | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "-"
