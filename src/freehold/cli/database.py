"""Use the database from a command, also while a server uses it."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from freehold.core.errors import APIError
from freehold.core.settings import Settings, SettingsError
from freehold.storage.address import DatabaseSetupError
from freehold.storage.database import Database
from freehold.storage.open import open_database

T = TypeVar("T")


def run(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Return what ``work`` returns; what goes wrong ends the command with one line."""
    with explained():
        return asyncio.run(_run(settings, work))


async def _run(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    database = open_database(settings.database_address)
    try:
        return await work(database)
    finally:
        await database.close()


@contextmanager
def explained() -> Generator[None]:
    """End the command with one line where the database can't be used, or refuses."""
    try:
        yield
    except (APIError, DatabaseSetupError, SettingsError, SQLAlchemyError) as error:
        raise click.ClickException(reason(error)) from None


def reason(error: APIError | DatabaseSetupError | SettingsError | SQLAlchemyError) -> str:
    """Return why the database can't be used, in one line."""
    if isinstance(error, SQLAlchemyError):
        return _one_line(f"The database can't be used: {getattr(error, 'orig', None) or error}")
    return _one_line(str(error))


def _one_line(text: str) -> str:
    return " ".join(text.split())
