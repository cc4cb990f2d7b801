"""``freehold db``: the database's schema."""

from pathlib import Path

import click

from freehold.cli import database
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded
from freehold.storage import backup as copy
from freehold.storage import migrations


@click.group()
def db() -> None:
    """Look after the database.

    SQLite is upgraded by `freehold serve` itself; PostgreSQL is upgraded by hand, before the
    servers of the new version start.
    """


_UPGRADE = """\b
Example:
  freehold db upgrade --database-url postgresql://freehold@db/freehold
"""


@db.command(epilog=_UPGRADE)
@with_settings()
def upgrade(loaded: Loaded) -> None:
    """Bring the database to the schema that this version needs."""
    url = loaded.settings.database_address
    with database.explained():
        migrations.upgrade(url)
        click.echo(f"The database is at revision {migrations.current(url)}.")


_CURRENT = """\b
Example:
  freehold db current
"""


@db.command(epilog=_CURRENT)
@with_settings()
def current(loaded: Loaded) -> None:
    """Show the database's revision and the one that this version needs."""
    url = loaded.settings.database_address
    with database.explained():
        found = migrations.current(url)
    wanted = migrations.head()
    click.echo(f"database  {found or 'empty'}\nneeded    {wanted}")
    if found != wanted:
        raise click.ClickException("Run `freehold db upgrade`.")


_BACKUP = """\b
Example:
  freehold db backup /backups/freehold.db
"""


@db.command(epilog=_BACKUP)
@click.argument("target", type=click.Path(path_type=Path))
@with_settings()
def backup(loaded: Loaded, target: Path) -> None:
    """Copy the SQLite database to the new file TARGET, also while servers use it.

    The files that clients uploaded are not in the database: copy the folder `blobs` too.
    """
    with database.explained():
        copy.backup(loaded.settings.database_address, target)
    click.echo(f"{target} is a copy of the database.")
