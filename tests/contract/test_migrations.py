"""Migrations bring both databases to exactly the schema of ``tables.metadata``."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from freehold.storage import fulltext, migrations
from freehold.storage.address import DatabaseSetupError, is_sqlite, parse
from freehold.storage.migrations import runner
from freehold.storage.open import open_database
from freehold.storage.postgres import create_postgres_engine
from freehold.storage.sqlite import connect, create_sqlite_engine
from freehold.storage.tables import metadata


def in_transaction(url: str, work):
    address = parse(url)
    if is_sqlite(address):
        engine = create_sqlite_engine(connect(Path(str(address.database))))
    else:
        engine = create_postgres_engine(address)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def test_migrated_schema_is_the_metadata(durable_url: str) -> None:
    migrations.upgrade(durable_url)

    def differences(connection: Connection) -> list[object]:
        # The index of words is no table of SQLAlchemy's; the next test compares it on SQLite.
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or not fulltext.is_part(name),
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    assert in_transaction(durable_url, differences) == []


def test_schema_in_memory_is_the_migrated_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/freehold.db"
    migrations.upgrade(url)

    def statements(connection: Connection) -> set[str]:
        query = "SELECT sql FROM sqlite_master WHERE tbl_name <> 'alembic_version'"
        return {" ".join(str(sql).split()) for sql in connection.scalars(text(query))}

    with create_sqlite_engine(connect(None)).begin() as connection:
        metadata.create_all(connection)
        created = statements(connection)

    assert in_transaction(url, statements) == created


def test_upgrade_reaches_head_and_may_be_repeated(durable_url: str) -> None:
    assert migrations.current(durable_url) is None
    for _ in range(2):
        migrations.upgrade(durable_url)
        assert migrations.current(durable_url) == migrations.head()
    migrations.check(durable_url)


def test_alembic_is_not_imported_when_there_is_nothing_to_do(durable_url: str) -> None:
    migrations.upgrade(durable_url)
    program = (
        "import sys; from freehold.storage import migrations; "
        "migrations.upgrade(sys.argv[1]); print('alembic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, durable_url], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"


def test_two_processes_may_upgrade_at_once(durable_url: str) -> None:
    program = "import sys; from freehold.storage import migrations; migrations.upgrade(sys.argv[1])"
    command = [sys.executable, "-c", program, durable_url]

    both = [subprocess.Popen(command) for _ in range(2)]

    assert [one.wait(60) for one in both] == [0, 0]
    assert migrations.current(durable_url) == migrations.head()


def test_failed_upgrade_leaves_nothing_behind(durable_url: str) -> None:
    obstacle = text("CREATE TABLE chat_completions (id TEXT)")
    in_transaction(durable_url, lambda c: c.execute(obstacle))

    with pytest.raises(Exception, match="chat_completions"):
        migrations.upgrade(durable_url)

    tables = in_transaction(durable_url, lambda c: inspect(c).get_table_names())
    assert tables == ["chat_completions"]


def test_database_of_a_newer_version_is_refused(durable_url: str) -> None:
    migrations.upgrade(durable_url)
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    in_transaction(durable_url, lambda c: c.execute(newer))

    for use in (migrations.upgrade, migrations.check, open_database):
        with pytest.raises(DatabaseSetupError, match="newer Freehold"):
            use(durable_url)


def test_head_is_what_alembic_calls_head() -> None:
    assert ScriptDirectory.from_config(runner.config()).get_current_head() == migrations.head()


def test_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database. " * 50)

    with pytest.raises(DatabaseSetupError, match=r"letter\.txt cannot be read"):
        migrations.upgrade(f"sqlite:///{path}")


def test_path_that_cannot_be_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for path in (tmp_path, tmp_path / "file" / "freehold.db"):
        with pytest.raises(DatabaseSetupError, match="cannot be"):
            open_database(f"sqlite:///{path}")


def test_server_that_is_away_is_a_clear_error_without_its_password() -> None:
    url = "postgresql://freehold:topsecret@/nothing?host=/nonexistent"

    for use in (migrations.check, migrations.upgrade, open_database):
        with pytest.raises(DatabaseSetupError, match="cannot be reached") as caught:
            use(url)
        assert "topsecret" not in str(caught.value)


async def test_sqlite_is_upgraded_when_opened(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/freehold.db")

    count = text("SELECT count(*) FROM api_keys")
    assert await database.read(lambda c: c.scalar(count)) == 0
    await database.close()


@pytest.mark.external
async def test_postgres_is_opened_only_after_an_explicit_upgrade(postgres_url: str) -> None:
    with pytest.raises(DatabaseSetupError, match="freehold db upgrade"):
        open_database(postgres_url)

    migrations.upgrade(postgres_url)
    database = open_database(postgres_url)
    count = text("SELECT count(*) FROM api_keys")
    assert await database.read(lambda c: c.scalar(count)) == 0
    await database.close()
