"""Rows in aligned columns."""

from collections.abc import Sequence

import click


def show(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows under their heads, columns as wide as their longest cell."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
