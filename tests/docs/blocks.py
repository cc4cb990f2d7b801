"""The fenced code blocks of the pages, and how each language is tried."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A block, with the comment right above it that says why it is not run.
FENCE = re.compile(
    r"(?:<!-- no-test: (?P<reason>.+?) -->\s*\n\s*)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
# What a page writes for the reader's own server and key.
PLACEHOLDERS = ("http://127.0.0.1:8080", "http://localhost:8080")
KEY_PLACEHOLDER = re.compile(r"sk-(?:proj-)?\.\.\.")
_TALKS = ("curl", "OpenAI(", ":8080/", "freehold chat", "freehold batch")
RUN = {"python", "bash", "console"}
PARSED = {"toml", "json", "text", ""}


@dataclass(frozen=True)
class Block:
    """One block and where it is."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def needs_server(self) -> bool:
        return any(word in self.code for word in _TALKS)


def blocks() -> list[Block]:
    """Return every block of every page."""
    return [block for page in PAGES for block in _of(page)]


def _of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["language"],
            match["code"],
            match["reason"],
        )
        for match in FENCE.finditer(text)
    ]


def check(block: Block) -> None:
    """Parse a block that is data; raises where it is not what it says it is."""
    if block.language == "toml":
        tomllib.loads(block.code)
    elif block.language == "json":
        json.loads(block.code)


def run(block: Block, folder: Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run a block in an empty folder against a server; the reader's values are filled in."""
    code = KEY_PLACEHOLDER.sub(key, block.code)
    for placeholder in PLACEHOLDERS:
        code = code.replace(placeholder, url)
    if block.language == "python":
        command = [sys.executable, "-W", "error", "-c", code]
    else:
        command = ["bash", "-euo", "pipefail", "-c", _script(block.language, code)]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "FREEHOLD_STATE_DIR": str(folder / "state"),
        "FREEHOLD_API_KEY": key,
        "FREEHOLD_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": f"{url}/v1",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def _script(language: str, code: str) -> str:
    """Return the commands; ``make`` is only planned, it would install and serve for real."""
    lines = code.splitlines()
    if language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    plan = f"make --dry-run --directory {ROOT}"
    return "\n".join(re.sub(r"^make\b(.*)", rf"{plan} \1 >/dev/null", line) for line in lines)
