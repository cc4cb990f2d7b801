"""Every example runs against a live server as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sdk.suites import client_environ

FOLDER = Path(__file__).parent.parent.parent / "examples"
# What each program prints, whatever the model makes of it.
PRINTS = {
    "assistant.py": r"(?s)Who built .*\n  \(\w+\)\n.*Draw a bar .*\n  \(\w+\)\n.*",
    "async_many.py": r"(?s)(?=.*France: )(?=.*India: ).+\n",
    "chat.py": r"(?s).*\n",
    "stream.py": r"(?s).*\n\(\d+ \+ \d+ tokens\)\n",
    "structured_output.py": r"(positive|mixed|negative), [1-5] stars, would return: (True|False)\n",
    "tools.py": r'get_weather\({"city": ".*"}\) -> {.*}\n(?s:.*)\n',
}


def test_every_example_is_here():
    assert sorted(PRINTS) == sorted(file.name for file in FOLDER.glob("*.py"))


@pytest.mark.parametrize("program", PRINTS)
def test_example_runs(sdk_server, program):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / program)],
        env=client_environ(sdk_server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(PRINTS[program], done.stdout), done.stdout


def test_examples_name_the_variables_that_they_read():
    for program in PRINTS:
        head = (FOLDER / program).read_text().split('"""')[1]
        assert {"OPENAI_BASE_URL", "OPENAI_API_KEY"} <= set(re.findall(r"\w+", head))


def test_examples_hold_no_address_or_key_of_their_own():
    for program in PRINTS:
        code = (FOLDER / program).read_text().split('"""', 2)[2]
        assert not re.search(r"https?://|sk-|api_key|base_url", code), program
