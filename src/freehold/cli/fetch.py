"""Fetch weights with a progress bar."""

from pathlib import Path

import click

from freehold.engines.base import EngineLoadError
from freehold.engines.weights import WeightsStore


def weights(state_dir: Path, name: str, sha256: str | None, *, force: bool = False) -> None:
    """Fetch the weights unless they are here, and say which; ends the command on an error."""
    with click.progressbar(length=1, label=name, width=30, show_percent=True) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.length = total or max(done, 1)
            bar.update(done - bar.pos)

        try:
            path = WeightsStore(state_dir).pull(name, progress, sha256=sha256, force=force)
        except EngineLoadError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{name}: {path.stat().st_size / 1e6:.0f} MB, checked, at {path}")
