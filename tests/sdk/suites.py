"""The clients and their cases: found without importing them, run in their own environments."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdk import environments
from servers import Live

HERE = Path(__file__).parent
LIMIT_S = 150
NODE_TEST = ("node", "--test", "--test-reporter=./reporter.mjs")


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    passed: bool
    report: str


@dataclass(frozen=True)
class PythonSuite:
    """Cases for pytest in the environment that ``environments/<name>.txt`` pins."""

    name: str
    folders: tuple[str, ...]

    def files(self) -> list[Path]:
        """Return the files with its cases."""
        folders = (HERE / "cases" / folder for folder in self.folders)
        return sorted(file for folder in folders for file in folder.glob("cases_*.py"))

    def cases(self) -> Iterator[str]:
        """Yield ``folder/file.py::function`` of every case."""
        for file in self.files():
            for name in _functions(file):
                yield f"{file.parent.name}/{file.name}::{name}"

    def run(self, chosen: Sequence[str], environ: dict[str, str]) -> str:
        """Run the chosen cases and return what was printed."""
        python = environments.python(self.name)
        return _printed([str(python), "-m", "pytest", *chosen], HERE / "cases", environ)


@dataclass(frozen=True)
class NodeSuite:
    """Cases for node's test runner with the npm client that ``node/package.json`` so names."""

    name: str
    pattern: str = "*.test.mjs"

    def files(self) -> list[Path]:
        """Return the files with its cases."""
        return sorted((HERE / "node").glob(self.pattern))

    def cases(self) -> Iterator[str]:
        """Yield ``file.mjs::title`` of every case."""
        for file in self.files():
            for title in re.findall(r'^test\("([^"]+)"', file.read_text(), re.MULTILINE):
                yield f"{file.name}::{title}"

    def run(self, chosen: Sequence[str], environ: dict[str, str]) -> str:
        """Run the files of the chosen cases and return what was printed."""
        folder = environments.node()
        files = sorted({case.split("::")[0] for case in chosen})
        for file in (HERE / "node").glob("*.mjs"):
            (folder / file.name).write_text(file.read_text())
        environ = environ | {"CLIENT": self.name.removeprefix("npm-")}
        # One file after the other: cases watch whether the server becomes idle.
        return "".join(_printed([*NODE_TEST, file], folder, environ) for file in files)


Suite = PythonSuite | NodeSuite
SUITES: tuple[Suite, ...] = (
    PythonSuite("openai-1.58.1", ("openai", "december")),
    PythonSuite("openai-newest", ("openai", "newest")),
    PythonSuite("frameworks", ("frameworks",)),
    PythonSuite("llama-index", ("llama",)),
    NodeSuite("npm-openai-4.77.0"),
    NodeSuite("npm-openai-newest"),
    NodeSuite("npm-ai-sdk", "*.vercel.mjs"),
)


class Runs:
    """Outcomes of the ``wanted`` pairs of suite and case; a suite runs when first asked for."""

    def __init__(self, server: Live, folder: Path, wanted: Sequence[tuple[str, str]]) -> None:
        self._server = server
        self._folder = folder
        self._wanted = wanted
        self._done: dict[str, Mapping[str, Outcome]] = {}
        self._faults: dict[str, environments.NoEnvironmentError] = {}

    def outcome(self, suite: Suite, case: str) -> Outcome:
        """Return how the case ended. Raises ``NoEnvironmentError``."""
        if fault := self._faults.get(suite.name):
            raise fault
        if suite.name not in self._done:
            try:
                self._done[suite.name] = self._run(suite)
            except environments.NoEnvironmentError as error:
                self._faults[suite.name] = error  # trying once is enough
                raise
        return self._done[suite.name][case]

    def _run(self, suite: Suite) -> Mapping[str, Outcome]:
        chosen = [case for name, case in self._wanted if name == suite.name]
        results = self._folder / f"{suite.name}.jsonl"
        results.touch()
        environ = client_environ(self._server) | {"CASE_RESULTS": str(results)}
        printed = suite.run(chosen, environ)
        missing = Outcome(passed=False, report=f"the case did not run\n{printed[-2000:]}")
        return dict.fromkeys(chosen, missing) | _read(results)


def client_environ(server: Live) -> dict[str, str]:
    """Return the environment of a program that uses an official client on ``server``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "FREEHOLD_"))}
    return kept | {
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": server.key,
        "TEST_ADMIN_KEY": server.admin_key,
        "NO_PROXY": "*",
    }


def _functions(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and node.name.startswith("test_"):
            yield node.name


def _read(results: Path) -> Mapping[str, Outcome]:
    """Return outcomes by case; of a case with many parameters the first failure counts."""
    outcomes: dict[str, Outcome] = {}
    for line in results.read_text().splitlines():
        row = json.loads(line)
        case = row["case"].split("[")[0]
        if case not in outcomes or outcomes[case].passed:
            outcomes[case] = Outcome(row["passed"], f"{row['case']}\n{row['report']}")
    return outcomes


def _printed(command: Sequence[str], folder: Path, environ: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"stopped after {LIMIT_S} s\n{(late.output or b'').decode()}"
    return done.stdout.decode()
