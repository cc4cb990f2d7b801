"""Fetch weights with a progress bar."""

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from freehold.engines.base import EngineLoadError
from freehold.engines.sources import Progress
from freehold.engines.weights import WeightsStore


def weights(state_dir: Path, name: str, sha256: str | None, *, force: bool = False) -> None:
    """Fetch the weights unless they are here, and say where; ends the command on an error."""
    store = WeightsStore(state_dir)
    try:
        path = None if force else _here(store, name, sha256)
        if path is None:
            path = _pull(store, name, sha256, force=force)
        click.echo(f"{name}: {_megabytes(path)}, checked, at {path}")
        served = _serve(store, name, sha256)
    except EngineLoadError as error:
        raise click.ClickException(str(error)) from None
    if served != path:
        click.echo(f"{name} with its adapter: {_megabytes(served)}, at {served}")


def _here(store: WeightsStore, name: str, sha256: str | None) -> Path | None:
    try:
        return store.path(name, sha256)
    except EngineLoadError:
        return None


def _pull(store: WeightsStore, name: str, sha256: str | None, *, force: bool) -> Path:
    with _progress(name) as progress:
        return store.pull(name, progress, sha256=sha256, force=force)


def _serve(store: WeightsStore, name: str, sha256: str | None) -> Path:
    """Return the file that will be served, merging the adapter where that was not done yet."""
    with _progress(f"{name} with its adapter") as progress:
        return store.served(name, sha256, progress)


@contextmanager
def _progress(label: str) -> Generator[Progress]:
    """Draw a bar in a terminal, from the first report on."""
    bar = click.progressbar(length=1, label=label, width=30, hidden=not sys.stdout.isatty())
    with ExitStack() as drawn:

        def report(done: int, total: int | None) -> None:
            if bar.pos == 0:
                drawn.enter_context(bar)
            bar.length = total or max(done, 1)
            bar.update(done - bar.pos)

        yield report


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.0f} MB"
