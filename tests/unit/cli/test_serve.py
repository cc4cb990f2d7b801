"""``freehold serve`` as its own process, on the tiny model, and the commands beside it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from servers import TINY_CONFIG, freehold_command, live


def freehold(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    return subprocess.run(
        [freehold_command(), *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.toml").write_text(f'default_embedding_model = "none"\n{TINY_CONFIG}')
    return ["--config", str(tmp_path / "tiny.toml"), "--state-dir", str(tmp_path / "state")]


def ask(server, key=None):
    return httpx.post(
        f"{server.base_url}/chat/completions",
        headers={"Authorization": f"Bearer {key or server.key}"},
        json={
            "model": "gpt-4o",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "Hello!"}],
        },
        timeout=60,
    )


def start(arguments):
    return subprocess.Popen(
        [freehold_command(), "serve", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    )


def notice_of(process):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Text models answer"):
            return "".join(lines)
    raise AssertionError("".join(lines))


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    code = process.wait(timeout=40)
    process.stdout.close()
    return code


def test_only_the_first_start_shows_keys_and_every_signal_ends_it_well(tiny):
    first = start(tiny)
    assert len(re.findall(r"(?:project|admin) key +sk-", notice_of(first))) == 2
    assert end(first, signal.SIGINT) == 0
    second = start(tiny)
    assert "sk-" not in notice_of(second)
    assert end(second, signal.SIGTERM) == 0


def test_http_answers_within_three_seconds_of_the_start(tiny):
    started = time.monotonic()
    process = start(tiny)
    url = re.search(r"http://\S+", notice_of(process)).group()
    answer = httpx.get(f"{url}/health")
    took = time.monotonic() - started
    assert end(process) == 0
    assert answer.status_code == 200
    assert took < 3


def test_what_the_notice_offers_works_when_pasted(tiny, tmp_path):
    process = start(tiny)
    notice = notice_of(process)
    curl = notice.split("with curl:\n\n")[1].split("\n\n")[0]
    python = notice.split("install openai):\n\n")[1].split("\n\n")[0]
    by_curl = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=False)
    by_python = subprocess.run(
        [sys.executable, "-c", python], capture_output=True, text=True, check=False
    )
    assert end(process) == 0
    assert '"chat.completion"' in by_curl.stdout
    assert by_python.returncode == 0, by_python.stderr
    assert by_python.stdout.strip()


def test_missing_weights_stop_the_start_with_the_command_that_fetches_them(tmp_path):
    result = freehold("serve", "--port", "0", "--state-dir", str(tmp_path / "state"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "freehold models pull" in result.stderr
    assert not (tmp_path / "state" / "weights").exists()


def test_a_taken_port_stops_the_start_with_one_line(tiny):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = freehold("serve", "--port", str(taken.getsockname()[1]), *tiny)
    assert result.returncode == 1
    assert "Choose another one with --port." in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_postgres_that_is_not_there_stops_the_start_with_one_line(tiny):
    url = "postgresql://nobody@127.0.0.1:9/none"
    result = freehold("serve", "--port", "0", *tiny, "--database-url", url)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: The database ")
    assert result.stderr.count("\n") == 1


def test_keys_made_and_revoked_beside_a_running_server_count(tmp_path):
    with live(tmp_path, TINY_CONFIG) as server:
        state = ["--state-dir", str(server.state_dir)]
        secret = freehold("keys", "create", "--name", "beside", *state).stdout.strip()
        assert ask(server, secret).status_code == 200
        row = next(r for r in freehold("keys", "list", *state).stdout.splitlines() if "beside" in r)
        assert freehold("keys", "revoke", row.split()[0], *state).returncode == 0
        until = time.monotonic() + 10
        while ask(server, secret).status_code == 200:
            assert time.monotonic() < until
        assert ask(server).status_code == 200


def test_a_command_beside_a_running_server_leaves_it_the_log_that_it_writes_to(tmp_path):
    # A command that takes itself for the database's last user removes SQLite's write-ahead log:
    # what the server writes after that is lost.
    with live(tmp_path, TINY_CONFIG) as server:
        log = server.state_dir / "freehold.db-wal"
        before = log.stat().st_ino
        assert freehold("keys", "create", "--state-dir", str(server.state_dir)).returncode == 0
        assert log.exists()
        assert log.stat().st_ino == before


def test_chat_asks_the_running_server(live_server):
    result = freehold(
        "chat", "Hello!", FREEHOLD_BASE_URL=live_server.base_url, FREEHOLD_API_KEY=live_server.key
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_chat_with_a_wrong_key_says_so_in_one_line(live_server):
    result = freehold("chat", "Hello!", "--base-url", live_server.base_url, "--key", "sk-wrong")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: Incorrect API key provided")
    assert result.stderr.count("\n") == 1


def test_a_conversation_goes_on_over_lines(live_server):
    process = subprocess.run(
        [freehold_command(), "chat", "--base-url", live_server.base_url, "--key", live_server.key],
        input="Hello!\n\nHello again!\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("you> ") == 4


def test_doctor_finds_a_whole_installation_well(tiny):
    result = freehold("doctor", "--port", "0", *tiny)
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("python", "weights", "database", "port", "engine", "sandbox")
    ]


def test_doctor_recognises_our_server(live_server, tiny):
    port = live_server.url.rpartition(":")[2]
    result = freehold("doctor", "--port", port, *tiny)
    assert f"our server answers at {live_server.url}" in result.stdout
    assert result.returncode == 0


def test_doctor_says_what_mends_missing_weights_and_a_taken_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0)
        port = str(taken.getsockname()[1])
        result = freehold("doctor", "--port", port, "--state-dir", str(tmp_path / "state"))
    problems = {
        line.split()[1]: line for line in result.stdout.splitlines() if line.startswith("problem")
    }
    assert result.returncode == 1
    assert set(problems) == {"weights", "port", "engine"}
    assert "freehold models pull" in problems["weights"]
    assert not Path(tmp_path / "state" / "weights").exists()
