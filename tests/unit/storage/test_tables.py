import pytest
from sqlalchemy import Dialect, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from freehold.storage.tables import metadata

TABLES = list(metadata.tables.values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_reference_is_indexed(table: Table) -> None:
    leading = {index.columns[0].name for index in table.indexes}
    leading |= {
        constraint.columns[0].name
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
    }

    assert {key.parent.name for key in table.foreign_keys} <= leading


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_times_outlast_2038(table: Table) -> None:
    times = [column for column in table.c if column.name.endswith("_at") or column.name == "at"]

    assert {str(column.type) for column in times} <= {"BIGINT"}


@pytest.mark.parametrize(
    ("dialect", "number"),
    [(sqlite.dialect(), "seq INTEGER NOT NULL"), (postgresql.dialect(), "seq BIGSERIAL NOT NULL")],
)
def test_listed_rows_are_numbered_by_the_database(dialect: Dialect, number: str) -> None:
    statement = str(CreateTable(metadata.tables["projects"]).compile(dialect=dialect))

    assert number in statement
