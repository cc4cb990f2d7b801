import os
import resource
import subprocess
import sys
from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner

from freehold.cli import COMMANDS, main


@pytest.fixture(autouse=True)
def clean_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("FREEHOLD_")]:
        monkeypatch.delenv(name)


def freehold(*arguments, **environment):
    return CliRunner().invoke(main, list(arguments), env=environment)


def commands(command=main, path=()):
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))
    yield path, command


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_command_has_help_and_every_one_that_acts_an_example(path):
    result = freehold(*path, "--help")
    assert result.exit_code == 0
    found = dict(commands())[path]
    assert found.help
    if not isinstance(found, click.Group) or not path:
        assert "Example:\n" in result.output
        assert f"freehold {' '.join(path)}".strip() in result.output.split("Example:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_help_in_the_list_is_the_commands_own_first_line(name):
    command = main.get_command(click.Context(main), name)
    assert command.help.splitlines()[0].rstrip(".") == COMMANDS[name].rstrip(".")


def test_version_is_the_packages():
    assert freehold("--version").output == f"freehold {version('freehold')}\n"


def test_help_imports_no_work_and_is_instant():
    code = "import sys; from freehold.cli import main; main(['--help'], standalone_mode=False)\n"
    code += "assert not {'pydantic', 'sqlalchemy', 'httpx', 'uvicorn'} & set(sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.3


def test_python_dash_m_is_the_same_command():
    command = [sys.executable, "-m", "freehold", "--help"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert result.stdout.startswith("Usage: freehold ")


def test_an_unknown_command_is_refused():
    result = freehold("sevre")
    assert result.exit_code == 2
    assert "No such command 'sevre'" in result.output


def test_a_wrong_setting_ends_a_command_with_one_line():
    result = freehold("config", "show", FREEHOLD_PROT="1")
    assert result.exit_code == 1
    assert result.output == (
        "Error: Unknown environment variable FREEHOLD_PROT. Did you mean FREEHOLD_PORT?\n"
    )


def test_config_show_names_every_source(tmp_path):
    (tmp_path / "freehold.toml").write_text('slots = 3\n[models.a]\nweights = "/a.gguf"\n')
    result = freehold("config", "show", "--port", "1", FREEHOLD_HOST="::1")
    lines = {
        line.split()[0]: line.split(maxsplit=2)[1:] for line in result.output.splitlines()[:14]
    }
    assert lines["port"] == ["1", "flag --port"]
    assert lines["host"] == ["::1", "environment FREEHOLD_HOST"]
    assert lines["slots"] == ["3", f"file {tmp_path / 'freehold.toml'}"]
    assert lines["queue_limit"] == ["256", "default"]
    assert '[models."a"]\nweights = /a.gguf\n' in result.output


def test_config_show_masks_passwords():
    url = "postgresql://me:pass%40word@db:5432/x"
    result = freehold("config", "show", "--database-url", url)
    assert "postgresql://me:***@db:5432/x" in result.output
    assert "pass%40word" not in result.output


def test_chat_without_a_key_says_how_to_get_one():
    result = freehold("chat", "Hi")
    assert result.exit_code == 1
    assert "freehold keys create" in result.output
