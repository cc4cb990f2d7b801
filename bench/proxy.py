"""LiteLLM's proxy in front of llama.cpp's own server, beside that server alone and Freehold.

Run: ``python bench/proxy.py PATH/TO/litellm [--rounds N] [--seconds S] [--json FILE]``. LiteLLM is
no dependency: install it in an environment of its own (``pip install 'litellm[proxy]'``; not
1.82.7 or 1.82.8) and name its program. It checks a master key and has no database. Its CPU
includes that of the server behind it.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tiny_model
from chat import CPU_REQUEST, LATENCY, REQUESTS, TOKENS, Case, Result, measure
from load import Load, Target
from machine import facts
from processes import Running, peer, product

_KEY: Final = "sk-bench"
_START_S: Final = 120.0
_CONFIG: Final = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: http://127.0.0.1:{port}/v1
      api_key: none
general_settings:
  master_key: {key}
"""
_ENVIRON: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
}
_NAMES: Final = {
    "product": "Freehold",
    "peer": "llama.cpp",
    "proxy": "LiteLLM in front of llama.cpp",
}
CASES: Final[dict[str, tuple[Case, tuple[str, ...]]]] = {
    "one token, 1 client": (
        Case(Load(1, 1, stream=False), {}, same_prompt=True),
        (LATENCY, CPU_REQUEST),
    ),
    "one token, 16 clients": (
        Case(Load(16, 1, stream=False), {}, same_prompt=True),
        (REQUESTS, CPU_REQUEST),
    ),
    "stream of 64 tokens, 8 clients": (Case(Load(8, 64, stream=True), {}), (TOKENS, CPU_REQUEST)),
}


@dataclass(frozen=True, slots=True)
class InFront(Running):
    """A proxy; its processor time includes that of the server behind it."""

    behind: Running

    def cpu_seconds(self) -> float:
        """Return the processor time of both."""
        return Running(self.target, self.pid).cpu_seconds() + self.behind.cpu_seconds()


@contextlib.contextmanager
def proxy(folder: Path, program: Path, behind: Running) -> Generator[InFront, None, None]:
    """Run LiteLLM's proxy in front of a server."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(_CONFIG.format(port=behind.target.port, key=_KEY))
    port = _free_port()
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **_ENVIRON}, stdout=log, stderr=log
        )
        try:
            _wait(port)
            yield InFront(Target(port, _KEY), process.pid, behind)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait(port: int) -> None:
    """Return once it answers. Raises ``TimeoutError``."""
    ends = time.perf_counter() + _START_S
    while time.perf_counter() < ends:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/health/liveliness")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.2)
    raise TimeoutError("the proxy does not answer; its log says why")


def table(results: dict[str, Result]) -> Iterator[str]:
    """Yield the lines of a Markdown table: medians."""
    yield f"| case | figure | {' | '.join(_NAMES.values())} |"
    yield f"|---|---{'|--:' * len(_NAMES)}|"
    for name, result in results.items():
        if result.error:
            yield f"| {name} | failed: {' '.join(result.error.split())} | | | |"
            continue
        for figure in CASES[name][1]:
            cells = (_number(result.median(server, figure)) for server in _NAMES)
            yield f"| {name} | {figure} | {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, help="litellm, in an environment of its own")
    parser.add_argument("--rounds", type=int, default=3, help="of each server")
    parser.add_argument("--seconds", type=float, default=3.0, help="least length of a round")
    parser.add_argument("--json", type=Path, help="write every round here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as name:
        folder = Path(name)
        weights = folder / "tiny.gguf"
        tiny_model.write(weights)
        with (
            product(folder / "product", weights) as ours,
            peer(folder / "peer", weights) as theirs,
            proxy(folder / "proxy", given.program.absolute(), theirs) as between,
        ):
            servers = {"product": ours, "peer": theirs, "proxy": between}
            results = {
                case: measure(load, servers, given.rounds, given.seconds)
                for case, (load, _) in CASES.items()
            }
            memory = {_NAMES[server]: running.memory_mb() for server, running in servers.items()}
    print("\n".join(table(results)))
    print(f"Resident memory, MB: {memory}")
    if given.json:
        rounds = {case: result.rounds for case, result in results.items()}
        report = {"machine": facts(), "rounds": rounds, "memory_mb": memory}
        given.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
