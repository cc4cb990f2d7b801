"""Use the database from a command, also while a server uses it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from freehold.core.errors import APIError
from freehold.core.settings import Settings
from freehold.storage.address import DatabaseSetupError
from freehold.storage.database import Database
from freehold.storage.open import open_database

T = TypeVar("T")


def run(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Return what ``work`` returns; what goes wrong ends the command with one line."""
    try:
        return asyncio.run(_run(settings, work))
    except (APIError, DatabaseSetupError) as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(reason(error)) from None


async def _run(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    database = open_database(settings.database_address)
    try:
        return await work(database)
    finally:
        await database.close()


def reason(error: SQLAlchemyError) -> str:
    """Return why the database can't be used, in one line."""
    first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return f"The database can't be used: {first}"
