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


def test_a_killed_server_keeps_what_it_acknowledged():
    ended = crash("crash.py", "--kills", "8")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.external
def test_killed_servers_and_workers_on_postgres_keep_what_they_acknowledged(postgres_url):
    several = ("--servers", "2", "--workers", "2", "--database-url", postgres_url)
    ended = crash("crash.py", "--kills", "4", *several)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_killed_server_ends_every_run_once():
    ended = crash("crash_runs.py", "--kills", "6")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.external
def test_killed_servers_and_workers_on_postgres_end_every_run_once(postgres_url):
    several = ("--servers", "2", "--workers", "2", "--database-url", postgres_url)
    ended = crash("crash_runs.py", "--kills", "4", *several)
    assert ended.returncode == 0, ended.stdout + ended.stderr
