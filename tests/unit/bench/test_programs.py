import json
import subprocess
import sys
from pathlib import Path

import chat
import pytest

BENCH = Path(chat.__file__).parent


def run(program, *options):
    command = [sys.executable, str(BENCH / program), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("case", ["one token, 1 client", "stream, 8 clients"])
def test_a_case_is_measured_on_both_servers(case, tmp_path):
    file = tmp_path / "figures.json"
    ended = run("chat.py", "--case", case, "--rounds", "1", "--seconds", "0.1", "--json", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    goals = json.loads(file.read_text())["cases"][case]["goals"]
    assert goals.keys() == chat.CASES[case].bounds.keys()
    assert all(goal["product"] > 0 and goal["peer"] > 0 for goal in goals.values())
    assert all(f"| {case} | {figure} |" in ended.stdout for figure in goals)


def test_start_up_is_measured(tmp_path):
    file = tmp_path / "figures.json"
    ended = run("startup.py", "--rounds", "1", "--json", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    starts = json.loads(file.read_text())["starts"]
    assert starts["first start"].keys() >= {"listens, s", "first answer, s", "engine, MB"}
    assert starts["llama.cpp"]["first answer, s"] > 0
