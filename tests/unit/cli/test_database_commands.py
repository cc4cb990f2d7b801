"""Keys, projects and the schema, on a real database in a file."""

import asyncio
import os

import pytest
from click.testing import CliRunner

from freehold.cli import database, main
from freehold.core import settings
from freehold.resources.organization import service
from freehold.resources.organization.keyring import DatabaseKeyRing


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FREEHOLD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FREEHOLD_STATE_DIR", str(tmp_path / "state"))
    return settings.load().settings


@pytest.fixture
def first_keys(state):
    return database.run(state, service.bootstrap)


def freehold(*arguments):
    return CliRunner().invoke(main, list(arguments))


def owner(state, secret):
    return database.run(state, lambda db: DatabaseKeyRing(db).find(secret))


def test_a_created_key_is_shown_once_and_works(state, first_keys):
    result = freehold("keys", "create", "--name", "laptop")
    assert result.exit_code == 0
    secret = result.stdout.strip()
    assert secret.startswith("sk-")
    assert "shown only now" in result.stderr
    assert owner(state, secret).kind == "project"
    listed = freehold("keys", "list").output
    assert "laptop" in listed
    assert secret not in listed


def test_an_admin_key_belongs_to_no_project(state, first_keys):
    secret = freehold("keys", "create", "--admin").stdout.strip()
    assert owner(state, secret).project_id is None
    refused = freehold("keys", "create", "--admin", "--project", "proj_x")
    assert refused.exit_code == 2


def test_a_key_can_not_be_made_for_an_unknown_project(first_keys):
    result = freehold("keys", "create", "--project", "proj_none")
    assert result.exit_code == 1
    assert result.output == "Error: No project found with id 'proj_none'.\n"


def test_a_revoked_key_is_invalid_and_listed_as_such(state, first_keys):
    key_id = owner(state, first_keys.project_key).key_id
    assert freehold("keys", "revoke", key_id).output == f"Revoked {key_id}.\n"
    assert owner(state, first_keys.project_key) is None
    line = next(row for row in freehold("keys", "list").output.splitlines() if key_id in row)
    assert line.endswith("revoked")
    again = freehold("keys", "revoke", key_id)
    assert again.exit_code == 1
    assert key_id in again.output


def test_zero_data_retention_is_switched_on_and_off(state, first_keys):
    project_id = owner(state, first_keys.project_key).project_id
    for value in ("on", "off"):
        result = freehold("projects", "set", project_id, "--zero-data-retention", value)
        assert result.output == f"Zero data retention of {project_id} is {value}.\n"
        line = freehold("projects", "list").output.splitlines()[1]
        assert line.split()[0] == project_id
        assert line.endswith(value)


def test_an_unknown_project_can_not_be_set(first_keys):
    result = freehold("projects", "set", "proj_none", "--zero-data-retention", "on")
    assert result.exit_code == 1
    assert "proj_none" in result.output


def test_commands_work_while_another_process_holds_the_database_open(state, first_keys):
    async def beside():
        return await asyncio.to_thread(freehold, "keys", "create")

    async def hold(db):
        await db.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        return await beside()

    result = database.run(state, hold)
    assert result.exit_code == 0
    assert owner(state, result.stdout.strip()) is not None


def test_db_current_asks_for_an_upgrade_until_there_was_one(state):
    before = freehold("db", "current")
    assert before.exit_code == 1
    assert "freehold db upgrade" in before.output
    upgraded = freehold("db", "upgrade")
    assert upgraded.exit_code == 0
    after = freehold("db", "current")
    assert after.exit_code == 0
    assert "empty" not in after.output


@pytest.mark.parametrize("command", [("keys", "list"), ("db", "current"), ("db", "upgrade")])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://x/y", "Freehold knows no database 'mysql'"),
        ("postgresql://nobody@127.0.0.1:9/none", "The database "),
    ],
)
def test_a_database_that_can_not_be_used_is_one_line(state, command, url, message):
    result = freehold(*command, "--database-url", url)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}")
    assert result.output.count("\n") == 1
