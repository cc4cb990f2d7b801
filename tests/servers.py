"""Servers for tests: in process on a scripted engine, and one live process on the tiny model."""

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from checking import CheckedClient, events_of
from freehold import app
from freehold.core.settings import Settings
from freehold.resources.organization.service import FirstKeys

TINY = Path(__file__).parent / "data" / "tiny-chat" / "chat-q8_0.gguf"
EYES = Path(__file__).parent / "data" / "tiny-vision" / "mmproj-f32.gguf"


def scripted(*script, **binding):
    """Return settings' ``models`` whose default model answers by this script (or echoes)."""
    return {"scripted": {"backend": "scripted", "script": list(script) or None, **binding}}


def chat_body(**fields):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], **fields}


@dataclass
class InProcess:
    """A server in this process and a client whose exchanges are checked against the document."""

    server: app.Server
    client: CheckedClient
    key: str
    admin_key: str

    async def chat(self, **body):
        """Return the answer to a chat completion that must succeed."""
        answer = await self.client.post("/v1/chat/completions", json=chat_body(**body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def stream(self, **body):
        """Return the events of a streamed chat completion that must succeed."""
        body = chat_body(stream=True, **body)
        answer = await self.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return events_of(answer)

    async def refused(self, status=400, **body):
        """Return the error of a chat completion that must be refused with ``status``."""
        answer = await self.client.post(
            "/v1/chat/completions", json=chat_body(**body), sends_invalid=True
        )
        assert answer.status_code == status, answer.text
        return answer.json()["error"]


@contextlib.asynccontextmanager
async def in_process(state_dir, **settings):
    """Start a server in this process; unless told otherwise its model echoes."""
    settings = {"models": scripted(), "default_model": "scripted", **settings}
    server = app.build(Settings.model_validate({"state_dir": state_dir, **settings}))
    await server.start()
    try:
        keys = server.first_keys or FirstKeys("", "")
        async with CheckedClient.of_app(server.asgi, keys.project_key) as client:
            yield InProcess(server, client, keys.project_key, keys.admin_key)
    finally:
        await server.stop()


@dataclass
class Live:
    """A server in its own process."""

    url: str
    key: str
    admin_key: str
    state_dir: Path
    process: subprocess.Popen

    @property
    def base_url(self):
        return f"{self.url}/v1"


def freehold_command():
    """Return the installed command of this environment."""
    return str(Path(sys.executable).parent / "freehold")


@contextlib.contextmanager
def live(folder, config, *flags):
    """Run ``freehold serve`` in ``folder`` with this ``freehold.toml``, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "freehold.toml").write_text(config)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    with (folder / "log.jsonl").open("w") as log:
        process = subprocess.Popen(
            [
                freehold_command(),
                "serve",
                "--port",
                "0",
                "--state-dir",
                str(folder / "state"),
                *flags,
            ],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield _announced(process, folder)
    finally:
        process.terminate()
        process.wait(timeout=40)
        process.stdout.close()


def _announced(process, folder):
    """Read the notice up to its last line and return what it says."""
    notice = []
    for line in process.stdout:
        notice.append(line)
        if line.startswith(("freehold models add", "Text models answer with")):
            break
    text = "".join(notice)
    url = re.search(r"http://127\.0\.0\.1:\d+", text)
    assert url, text + (folder / "log.jsonl").read_text()
    keys = re.findall(r"sk-[\w-]{20,}", text)
    project = next((k for k in keys if not k.startswith("sk-admin-")), "")
    admin = next((k for k in keys if k.startswith("sk-admin-")), "")
    return Live(url.group(), project, admin, folder / "state", process)


TINY_CONFIG = f"""
default_model = "tiny"

[models.tiny]
weights = "{TINY}"
context = 1024
slots = 4
"""
