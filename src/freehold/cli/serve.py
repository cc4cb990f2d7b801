"""``freehold serve``: run the server until it is told to stop."""

import socket

import click
import uvloop

from freehold import app
from freehold.cli import bindings, database, listener, notice
from freehold.cli.address import local_url
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded, Settings
from freehold.engines.base import EngineLoadError

_EXAMPLE = """\b
Example:
  freehold serve --port 9000 --state-dir ./state
"""


@click.command(epilog=_EXAMPLE)
@with_settings("host", "port", "log_level")
def serve(loaded: Loaded) -> None:
    """Start the server.

    Runs in the foreground until Ctrl-C or SIGTERM; running requests may then finish. The first
    start makes a project key and an admin key and prints them. Nothing is ever downloaded.
    """
    settings = loaded.settings
    try:
        bindings.require_default_weights(settings)
        with listener.bind(settings.host, settings.port) as sock, database.explained():
            uvloop.run(_run(loaded, sock))
    except (EngineLoadError, listener.ListenError) as error:
        raise click.ClickException(str(error)) from None


async def _run(loaded: Loaded, sock: socket.socket) -> None:
    settings = loaded.settings
    server = app.build(settings, loaded.file)
    try:
        await server.start()
        await listener.Listener(
            server.asgi,
            grace_s=settings.shutdown_grace_s,
            on_listening=lambda: click.echo(notice.text(_facts(settings, sock, server))),
            stop=server.stop,
        ).serve(sockets=[sock])
    finally:
        await server.stop()


def _facts(settings: Settings, sock: socket.socket, server: app.Server) -> notice.Notice:
    keys = server.first_keys
    return notice.Notice(
        url=local_url(settings.host, sock.getsockname()[1]),
        model=settings.default_model,
        built_in=bindings.default_is_built_in(settings),
        project_key=keys.project_key if keys else None,
        admin_key=keys.admin_key if keys else None,
    )
