"""The options that name settings, and how a command gets the settings they make."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from freehold.core import settings
from freehold.core.settings import Loaded

Command = Callable[..., None]

_FLAGS: Mapping[str, Callable[[Command], Command]] = {
    "host": click.option("--host", help="Address to listen on."),
    "port": click.option("--port", type=int, help="Port to listen on; 0 takes a free one."),
    "state_dir": click.option(
        "--state-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the database, weights and files.",
    ),
    "database_url": click.option("--database-url", help="SQLAlchemy address of the database."),
    "log_level": click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="Least level that is logged.",
    ),
}
_CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file, instead of ./freehold.toml or the one in the state folder.",
)


def with_settings(*more: str) -> Callable[[Command], Command]:
    """Give a command --state-dir, --database-url, --config and ``more`` flags; pass ``loaded``."""
    names = [*more, "state_dir", "database_url"]

    def decorate(function: Command) -> Command:
        @wraps(function)
        def wrapper(**arguments: Any) -> None:
            file = arguments.pop("config")
            flags = {name: arguments.pop(name) for name in names}
            function(loaded=load(flags, file), **arguments)

        wrapped = _CONFIG(wrapper)
        for name in reversed(names):
            wrapped = _FLAGS[name](wrapped)
        return wrapped

    return decorate


def load(flags: Mapping[str, Any], file: Path | None = None) -> Loaded:
    """Return the settings, or end the command with the one line that says what is wrong."""
    try:
        return settings.load(flags, file=file.absolute() if file else None)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from None
