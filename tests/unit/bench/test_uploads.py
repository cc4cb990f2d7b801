import json
import subprocess
import sys
from pathlib import Path

import chat

PROGRAM = Path(chat.__file__).parent / "uploads.py"


def test_memory_of_both_ways_to_upload_is_measured_and_small(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, str(PROGRAM), "--mb", "100", "--json", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ways = json.loads(file.read_text())["ways"]
    assert ways.keys() == {"one request", "parts"}
    assert all(0 <= figures["added, MB"] < 50 for figures in ways.values())
