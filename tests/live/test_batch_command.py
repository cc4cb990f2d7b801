"""``freehold batch`` against a live server."""

import json
import os
import re
import signal
import subprocess

import pytest

from servers import freehold_command


@pytest.fixture
def command(live_server):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    environ |= {"FREEHOLD_API_KEY": live_server.key, "FREEHOLD_BASE_URL": live_server.base_url}

    def start(folder, *arguments):
        return subprocess.Popen(
            [freehold_command(), "batch", *arguments],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    # Where a shell began the tests in the background, its programs would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield start
    signal.signal(signal.SIGINT, before)


def write_requests(path, count, **body):
    message = {"role": "user", "content": "Count."}
    body = {"model": "gpt-4o", "messages": [message], "max_tokens": 4, **body}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    path.write_text(
        "".join(json.dumps({**line, "custom_id": f"r{n}"}) + "\n" for n in range(count))
    )


def test_a_file_of_requests_becomes_a_file_of_answers(command, tmp_path):
    write_requests(tmp_path / "in.jsonl", 6)

    process = command(tmp_path, "run", "in.jsonl", "-o", "out.jsonl")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert "completed: 6 of 6" in err
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(one["custom_id"] for one in answers) == [f"r{n}" for n in range(6)]
    listed, _ = command(tmp_path, "list").communicate(timeout=30)
    assert "completed" in listed


def test_a_wrong_file_is_told_by_its_lines(command, tmp_path):
    (tmp_path / "in.jsonl").write_text("{nonsense\n")

    process = command(tmp_path, "run", "in.jsonl")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "line 1: This line is not parseable as valid JSON." in err


def test_interrupting_says_how_to_come_back(command, tmp_path):
    write_requests(tmp_path / "in.jsonl", 1000, max_tokens=400)

    process = command(tmp_path, "run", "in.jsonl", "-o", "out.jsonl")
    created = process.stderr.readline()
    batch_id = re.search(r"batch_\w+", created)[0]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert f"freehold batch watch {batch_id} -o out.jsonl" in err
    cancelled, _ = command(tmp_path, "cancel", batch_id).communicate(timeout=30)
    assert "cancelling" in cancelled
    process = command(tmp_path, "watch", batch_id, "-o", "out.jsonl")
    _, err = process.communicate(timeout=60)
    assert "is cancelled" in err
