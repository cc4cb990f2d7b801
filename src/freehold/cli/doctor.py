"""``freehold doctor``: check this installation and say what to do."""

import asyncio
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

import click
import httpx
from sqlalchemy.exc import SQLAlchemyError

from freehold import app
from freehold.cli import bindings, database, listener
from freehold.cli.address import local_url
from freehold.cli.options import with_settings
from freehold.core.errors import APIError
from freehold.core.settings import Loaded, Settings
from freehold.engines.base import Chat, Done, EngineLoadError, Generation, Message, Sampling
from freehold.engines.weights import WeightsStore
from freehold.sandbox.events import SandboxError
from freehold.sandbox.pool import Sandboxes
from freehold.storage import migrations
from freehold.storage.address import DatabaseSetupError

_ANSWER_S = 120
_INTERPRETER = ("numpy", "pandas", "matplotlib", "openpyxl", "PIL")


class Problem(Exception):  # noqa: N818 - the word that the command prints
    """A check failed; the message says what to do."""


_EXAMPLE = """\b
Example:
  freehold doctor
"""


@click.command(epilog=_EXAMPLE)
@with_settings("host", "port")
def doctor(loaded: Loaded) -> None:
    """Check this installation and say what to do.

    Looks at Python, weights, database, port, engine and sandbox, and ends with status 1 where
    something is wrong.
    """
    results = [_report(name, check, loaded) for name, check in _CHECKS.items()]
    sys.exit(0 if all(results) else 1)


def _report(name: str, check: Callable[[Loaded], str], loaded: Loaded) -> bool:
    """Print one line and return whether the check went well."""
    try:
        click.echo(f"ok       {name:9} {check(loaded)}")
    except (Problem, EngineLoadError, DatabaseSetupError, APIError) as error:
        click.echo(f"problem  {name:9} {' '.join(str(error).split())}")
        return False
    return True


def _python(_loaded: Loaded) -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _weights(loaded: Loaded) -> str:
    store = WeightsStore(loaded.settings.state_dir)
    needed = bindings.needed_weights(loaded.settings)
    for name, sha256 in needed.items():
        store.verify(name, sha256)
    return f"whole: {', '.join(needed)}" if needed else "none needed"


def _database(loaded: Loaded) -> str:
    url = loaded.settings.database_address
    try:
        found, wanted = migrations.current(url), migrations.head()
    except SQLAlchemyError as error:
        raise Problem(f"{database.reason(error)} Check database_url.") from None
    if found == wanted:
        return f"reachable, at revision {found}"
    if found is None and url.startswith("sqlite"):
        return "not there yet: the first start of the server makes it"
    migrations.check(url)
    return f"at revision {found}"


def _port(loaded: Loaded) -> str:
    settings = loaded.settings
    url = local_url(settings.host, settings.port)
    with suppress(httpx.HTTPError):
        answer = httpx.get(f"{url}/health", timeout=2)
        if "x-request-id" in answer.headers or answer.text.strip() == '{"status":"ok"}':
            return f"our server answers at {url}"
        raise Problem(f"Another program answers at {url}: stop it or choose another port.")
    try:
        listener.bind(settings.host, settings.port).close()
    except listener.ListenError as error:
        raise Problem(str(error)) from None
    return f"{settings.port} of {settings.host} is free"


def _engine(loaded: Loaded) -> str:
    with tempfile.TemporaryDirectory(prefix="freehold-") as runtime_dir:
        return asyncio.run(_one_token(loaded.settings, Path(runtime_dir)))


async def _one_token(settings: Settings, runtime_dir: Path) -> str:
    """Load the default model and let it say one token."""
    registry = bindings.registry(settings, runtime_dir)
    model = registry.find(settings.default_model)
    request = Generation(
        prompt=Chat((Message("user", "Say hello."),)), sampling=Sampling(max_tokens=1)
    )
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            model.text.admit() as engine,
            aclosing(engine.generate(request)) as events,
        ):
            last = [event async for group in events for event in group][-1]
    except TimeoutError:
        raise Problem(f"{model.id} gave no answer in {_ANSWER_S} s: see the log.") from None
    finally:
        await registry.close()
    if not isinstance(last, Done) or last.completion_tokens < 1:
        raise Problem(f"{model.id} gave no token: see the log.")
    return f"{model.id} answers"


def _sandbox(loaded: Loaded) -> str:
    """Say which jail works and what is missing of the packages that models expect."""
    jail = asyncio.run(_jail(loaded))
    missing = [name for name in _INTERPRETER if importlib.util.find_spec(name) is None]
    if missing:
        return f"{jail} works; without {', '.join(missing)} (pip install 'freehold[interpreter]')"
    return f"{jail} works"


async def _jail(loaded: Loaded) -> str:
    settings = loaded.settings
    sandboxes = Sandboxes(settings.interpreter, app.server_files(settings, loaded.file))
    try:
        return (await sandboxes.jail()).name
    except SandboxError as error:
        raise Problem(f"The code interpreter can't be used. {error}") from None
    finally:
        await sandboxes.close()


_CHECKS: dict[str, Callable[[Loaded], str]] = {
    "python": _python,
    "weights": _weights,
    "database": _database,
    "port": _port,
    "engine": _engine,
    "sandbox": _sandbox,
}
