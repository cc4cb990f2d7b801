"""Fetch weights with a progress bar."""

import sys
from pathlib import Path

import click

from freehold.engines.base import EngineLoadError
from freehold.engines.weights import WeightsStore


def weights(state_dir: Path, name: str, sha256: str | None, *, force: bool = False) -> None:
    """Fetch the weights unless they are here, and say where; ends the command on an error."""
    store = WeightsStore(state_dir)
    try:
        path = None if force else _here(store, name, sha256)
        if path is None:
            path = _pull(store, name, sha256, force=force)
    except EngineLoadError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name}: {path.stat().st_size / 1e6:.0f} MB, checked, at {path}")


def _here(store: WeightsStore, name: str, sha256: str | None) -> Path | None:
    try:
        return store.path(name, sha256)
    except EngineLoadError:
        return None


def _pull(store: WeightsStore, name: str, sha256: str | None, *, force: bool) -> Path:
    hidden = not sys.stdout.isatty()
    with click.progressbar(length=1, label=name, width=30, hidden=hidden) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.length = total or max(done, 1)
            bar.update(done - bar.pos)

        return store.pull(name, progress, sha256=sha256, force=force)
