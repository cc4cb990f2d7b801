"""``freehold config``: what is set, and where."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import click
from pydantic import BaseModel

from freehold.cli.options import with_settings
from freehold.core.settings import Loaded


@click.group()
def config() -> None:
    """Look at the settings."""


_EXAMPLE = """\b
Example:
  FREEHOLD_PORT=9000 freehold config show
"""


@config.command(epilog=_EXAMPLE)
@with_settings("host", "port", "log_level")
def show(loaded: Loaded) -> None:
    """Show every setting, its value and where it came from."""
    values = dict(_values(loaded.settings))
    width = max(map(len, values))
    value_width = min(max(map(len, values.values())), 40)
    for name, value in values.items():
        click.echo(f"{name:{width}}  {value:{value_width}}  {loaded.origins[name]}")
    for model, binding in loaded.settings.models.items():
        click.echo(f'\n[models."{model}"]')
        for key in sorted(binding.model_fields_set):
            click.echo(f"{key} = {_text(getattr(binding, key))}")


def _values(settings: BaseModel) -> Iterator[tuple[str, str]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        yield name, f"{len(value)} bound" if name == "models" else _text(value)


def _text(value: object) -> str:
    if value is None or value == []:
        return "-"
    return mask(str(value))


def mask(text: str) -> str:
    """Return an address with its password replaced by ***; other text unchanged."""
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        password = None
    return text.replace(f":{password}@", ":***@") if password else text
