"""``freehold projects``: projects and the rules they keep."""

import click

from freehold.cli import database, table
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded
from freehold.resources.organization import service


@click.group()
def projects() -> None:
    """List projects and set their rules."""


_LIST = """\b
Example:
  freehold projects list
"""


@projects.command("list", epilog=_LIST)
@with_settings()
def list_(loaded: Loaded) -> None:
    """List all projects."""
    rows = database.run(loaded.settings, service.list_projects)
    table.show(
        ("ID", "NAME", "STATUS", "ZERO DATA RETENTION"),
        [
            (row["id"], row["name"], row["status"], "on" if row["zero_data_retention"] else "off")
            for row in rows
        ],
    )


_SET = """\b
Example:
  freehold projects set proj_abc123 --zero-data-retention on
"""


@projects.command("set", epilog=_SET)
@click.argument("project_id", metavar="ID")
@click.option(
    "--zero-data-retention",
    type=click.Choice(["on", "off"]),
    required=True,
    help="Keep nothing of requests and answers, on disk or in logs.",
)
@with_settings()
def set_(loaded: Loaded, project_id: str, zero_data_retention: str) -> None:
    """Set a project's rules. A running server notices within seconds."""
    on = zero_data_retention == "on"
    database.run(loaded.settings, lambda db: service.set_zero_data_retention(db, project_id, on=on))
    click.echo(f"Zero data retention of {project_id} is {zero_data_retention}.")
