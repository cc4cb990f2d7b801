"""Servers killed at random moments keep their promises; ``bench/crash*.py`` do the work."""

import subprocess
import sys
from pathlib import Path

import pytest

from postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

BENCH = Path(__file__).parents[2] / "bench"


def crash(program, *options):
    command = [sys.executable, str(BENCH / program), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


# What each program is about is in its own text; the kills are few, the long form is in `bench`.
PROGRAMS = {"crash.py": 8, "crash_runs.py": 6}
FEWER = 4
MANY = ["--servers", "2", "--workers", "2"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_server_keeps_its_promises(program):
    ended = crash(program, "--kills", str(PROGRAMS[program]))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.external
@pytest.mark.parametrize("program", PROGRAMS)
def test_killed_servers_and_workers_on_postgres_keep_theirs(postgres_url, program):
    ended = crash(program, "--kills", str(FEWER), *MANY, "--database-url", postgres_url)
    assert ended.returncode == 0, ended.stdout + ended.stderr
