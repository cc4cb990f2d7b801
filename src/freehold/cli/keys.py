"""``freehold keys``: API keys, also while the server runs."""

from datetime import UTC, datetime

import click

from freehold.cli import database, table
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded
from freehold.resources.organization import service


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


_CREATE = """\b
Example:
  freehold keys create --name laptop
  freehold keys create --admin --name billing
"""


@keys.command(epilog=_CREATE)
@click.option("--project", "project_id", help="Project of the key; the default one if not given.")
@click.option("--admin", is_flag=True, help="Make an admin key, for /v1/organization only.")
@click.option("--name", help="A name to know the key by.")
@with_settings()
def create(loaded: Loaded, project_id: str | None, name: str | None, *, admin: bool) -> None:
    """Make a key and show it, this once."""
    if admin and project_id:
        raise click.UsageError("An admin key belongs to no project: give --project or --admin.")
    kind = "admin" if admin else "project"
    key = database.run(
        loaded.settings,
        lambda db: service.create_key(db, kind=kind, project_id=project_id, name=name),
    )
    click.echo(key.secret)
    click.echo(f"This is {key.id} ({key.name}). The key is shown only now: keep it.", err=True)


_LIST = """\b
Example:
  freehold keys list
"""


@keys.command("list", epilog=_LIST)
@with_settings()
def list_(loaded: Loaded) -> None:
    """List all keys: whose they are, when they were last used, which are revoked."""
    rows = database.run(loaded.settings, service.list_keys)
    table.show(
        ("ID", "KEY", "KIND", "PROJECT", "NAME", "LAST USED", "STATE"),
        [
            (
                row["id"],
                row["redacted_value"],
                row["kind"],
                row["project_id"] or "-",
                row["name"],
                _day(row["last_used_at"]),
                "revoked" if row["revoked_at"] else "valid",
            )
            for row in rows
        ],
    )


_REVOKE = """\b
Example:
  freehold keys revoke key_abc123
"""


@keys.command(epilog=_REVOKE)
@click.argument("key_id", metavar="ID")
@with_settings()
def revoke(loaded: Loaded, key_id: str) -> None:
    """Make a key invalid. A running server notices within seconds."""
    database.run(loaded.settings, lambda db: service.revoke_key(db, key_id))
    click.echo(f"Revoked {key_id}.")


def _day(at: int | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "never"
