"""The pages made from code are current, and what must be documented is."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from freehold.core.settings import (
    InterpreterSettings,
    JobSettings,
    ModelBinding,
    Settings,
    VisionSettings,
)

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = re.compile(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def run_script(name):
    command = [sys.executable, f"scripts/{name}", "--check"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["settings_docs.py", "cli_docs.py"])
def test_a_page_made_from_code_is_current(script):
    result = run_script(script)
    assert result.returncode == 0, result.stderr


def test_every_setting_is_documented():
    page = (ROOT / "docs/settings.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    tables = (Settings, ModelBinding, VisionSettings, JobSettings, InterpreterSettings)
    assert rows == {name for table in tables for name in table.model_fields}


def test_every_setting_says_what_it_means():
    fields = {
        **Settings.model_fields,
        **ModelBinding.model_fields,
        **VisionSettings.model_fields,
    }
    assert [name for name, field in fields.items() if not field.description] == []


def names(requirements):
    return {re.split(r"[\[>=<;! ]", line)[0] for line in requirements}


def documented(heading):
    page = (ROOT / "docs/dependencies.md").read_text()
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row.rsplit("|", 2)[0])}


def test_every_dependency_has_its_reason():
    extras = PROJECT["project"]["optional-dependencies"]
    assert documented("At run time") == names(PROJECT["project"]["dependencies"])
    assert documented("To develop") == names(PROJECT["dependency-groups"]["dev"])
    assert documented("Extras") == set(extras).union(*map(names, extras.values()))


def pins(file):
    return dict(PINS.findall((ROOT / file).read_text()))


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_pins_every_dependency_with_hashes_and_names_no_index(file):
    text = (ROOT / file).read_text()
    wanted = {*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]}
    if file == "requirements-dev.lock":
        wanted |= set(PROJECT["dependency-groups"]["dev"])
    assert names(wanted) <= set(pins(file))
    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text


def test_both_lock_files_pin_the_same_versions():
    run_time, develop = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: develop.get(name) for name in run_time} == run_time


def test_every_dependency_has_its_licence_named():
    page = (ROOT / "docs/third-party.md").read_text()
    wanted = names(PROJECT["project"]["dependencies"])
    assert [name for name in sorted(wanted) if f"\n| {name}" not in page] == []


def test_the_changelog_tells_of_this_version():
    assert f"## [{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text()
