"""``freehold worker``: run durable jobs beside the servers, on PostgreSQL."""

import asyncio
import signal
from pathlib import Path

import click
import uvloop

from freehold import app
from freehold.cli import database
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded, Settings
from freehold.storage.address import is_sqlite, parse

_EXAMPLE = """\b
Example:
  freehold worker --database-url postgresql://freehold@db/freehold
"""


@click.command(epilog=_EXAMPLE)
@with_settings("log_level")
def worker(loaded: Loaded) -> None:
    """Run durable jobs beside the servers.

    As many workers as wanted share a PostgreSQL database with the servers; with SQLite the server
    is the only one. Ctrl-C or SIGTERM ends the worker, and what it ran is resumed elsewhere.
    """
    settings = loaded.settings
    with database.explained():
        if is_sqlite(parse(settings.database_address)):
            raise click.ClickException(
                "SQLite has one worker, which is part of `freehold serve`. To run more, keep the "
                "state in PostgreSQL (--database-url)."
            )
        jobs = settings.jobs.model_copy(update={"worker": True})
        uvloop.run(_run(settings.model_copy(update={"jobs": jobs}), loaded.file))


async def _run(settings: Settings, config_file: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = app.build(settings, config_file)
    try:
        await server.start()
        if server.first_keys is not None:
            click.echo(f"project key  {server.first_keys.project_key}")
            click.echo(f"admin key    {server.first_keys.admin_key}")
        click.echo("The worker runs.")
        await stop.wait()
    finally:
        await server.stop()
