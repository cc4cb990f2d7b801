"""``freehold import``: take over what was exported elsewhere, also while the server runs."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import click

from freehold import app
from freehold.api.auth import Principal
from freehold.api.context import Context, Services
from freehold.cli import database
from freehold.cli.options import with_settings
from freehold.core.settings import Loaded, Settings
from freehold.resources.assistants import importing
from freehold.resources.assistants.importing import Line
from freehold.resources.organization import service as organization


@click.group("import")
def import_() -> None:
    """Take over assistants that were exported from OpenAI."""


_ASSISTANTS = """\b
Example:
  freehold import assistants export.jsonl
"""


@import_.command(epilog=_ASSISTANTS)
@click.argument(
    "export", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--project", "project_id", help="Whose they become; the default one if not given.")
@with_settings()
def assistants(loaded: Loaded, export: Path, project_id: str | None) -> None:
    """Take over assistants, vector stores and files under the ids they had.

    FILE has one object a line, as the API showed it ("object": "assistant", "vector_store" or
    "file"). A file's bytes lie beside FILE under its id, its name, or the line's "path"; a vector
    store's line lists its "file_ids". What is there already is left alone.
    """
    lines = _lines(export)
    with database.explained():
        failed = asyncio.run(_import(loaded.settings, lines, export.parent, project_id))
    if failed:
        raise SystemExit(1)


def _lines(export: Path) -> list[Line]:
    """Return the objects of an export; ends the command where a line is none."""
    lines: list[Line] = []
    with export.open(encoding="utf-8") as source:
        for number, text in enumerate(source, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                raise click.ClickException(f"Line {number} of {export} is no JSON object.")
            lines.append(cast("dict[str, Any]", line))
            _check(lines[-1], number, export)
    return lines


def _check(line: Line, number: int, export: Path) -> None:
    if line.get("object") not in importing.ORDER or not isinstance(line.get("id"), str):
        known = ", ".join(f'"{kind}"' for kind in importing.ORDER)
        raise click.ClickException(
            f'Line {number} of {export} needs an "id", and an "object" that is one of {known}.'
        )


async def _import(
    settings: Settings, lines: list[Line], folder: Path, project_id: str | None
) -> bool:
    """Import and tell of each object; return whether one could not be imported."""
    server = app.build(settings)
    counts: Counter[str] = Counter()
    faults = 0
    try:
        context = await _context(server.api.services, project_id)
        async for outcome in importing.import_(context, lines, folder):
            said = outcome.fault or ("imported" if outcome.imported else "is there already")
            click.echo(f"{outcome.id}  {said}", err=outcome.fault is not None)
            counts[outcome.kind] += outcome.imported
            faults += outcome.fault is not None
    finally:
        await server.stop()
    click.echo(
        f"Imported: assistants {counts['assistant']}, vector stores {counts['vector_store']}, "
        f"files {counts['file']}."
    )
    return faults > 0


async def _context(services: Services, project_id: str | None) -> Context:
    """Return what the service needs of a request by the project. Ends the command without one."""
    projects = await organization.list_projects(services.database)
    chosen = [p for p in projects if (p["id"] == project_id if project_id else p["is_default"])]
    if not chosen:
        raise click.ClickException(
            f"There is no project {project_id}."
            if project_id
            else "There is no project yet: start the server once."
        )
    [project] = chosen
    principal = Principal(
        key_id="",
        kind="project",
        organization_id=project["organization_id"],
        project_id=project["id"],
        user_id=None,
        zero_data_retention=project["zero_data_retention"],
    )
    return Context(services, principal, operation_id="createAssistant", request_id="")
