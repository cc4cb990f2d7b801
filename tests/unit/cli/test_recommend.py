import subprocess

import pytest
from click.testing import CliRunner

from freehold.cli import main, recommend
from freehold.core.settings import parse_binding
from freehold.data.recommended import fitting, recommended
from freehold.engines.sources import HubSource, parse_source

PLAIN, TALKATIVE = "NVIDIA H200, 143771\n", "NVIDIA A, 1000\nNVIDIA, Inc. B, 2000\nGB10, [N/A]\n"


@pytest.fixture
def nvidia_smi(monkeypatch):
    """Let the program be there and answer with a text, or fail."""

    def install(text):
        def run(arguments, **_):
            if isinstance(text, Exception):
                raise text
            return subprocess.CompletedProcess(arguments, 0, stdout=text)

        monkeypatch.setattr(recommend.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
        monkeypatch.setattr(recommend.subprocess, "run", run)

    return install


def freehold(*arguments):
    return CliRunner().invoke(main, list(arguments))


def added(output):
    return [line.split()[4] for line in output.splitlines() if "models add" in line]


@pytest.mark.parametrize("row", recommended().model, ids=lambda row: row.name)
def test_a_row_names_one_file_that_can_be_bound(row):
    for source in filter(None, (row.weights, row.mmproj)):
        found = parse_source(source)
        assert isinstance(found, HubSource)
        assert found.file.endswith(".gguf")
    assert "-of-0" not in row.weights
    parse_binding("x", {"weights": row.weights, **({"mmproj": row.mmproj} if row.mmproj else {})})
    assert row.vision is (row.mmproj is not None)
    assert row.size_mb < row.memory_mb


def test_three_models_that_fit_largest_first_and_one_that_sees():
    rows = fitting(16_000, accelerated=False)
    assert len(rows) == 3
    assert [row.vision for row in rows] == [False, False, True]
    assert rows[0].memory_mb > rows[1].memory_mb
    assert max(row.memory_mb for row in rows) <= 16_000


def test_without_an_accelerator_slow_models_are_left_out():
    def names(accelerated):
        return {row.name for row in fitting(23_000, accelerated=accelerated)}

    assert "Qwen2.5 32B Instruct" in names(accelerated=True)
    assert "Qwen2.5 32B Instruct" not in names(accelerated=False)
    assert "Qwen3 30B-A3B Instruct 2507" in names(accelerated=False)


def test_the_command_prints_lines_that_bind():
    result = freehold("models", "recommend", "gpt-4o-mini", "--memory", "6000")
    assert result.exit_code == 0
    assert added(result.output)[0] == next(
        row.weights for row in recommended().model if row.name == "Qwen2.5 7B Instruct"
    )
    assert "freehold models add gpt-4o-mini hf:" in result.output
    assert str(recommended().as_of) in result.output


def test_where_nothing_fits_the_command_says_so():
    result = freehold("models", "recommend", "--memory", "500")
    assert "stay with the built-in one" in result.output
    assert added(result.output) == []


def test_a_gpu_counts_with_its_own_memory(nvidia_smi):
    nvidia_smi(PLAIN)
    output = freehold("models", "recommend").output
    assert "NVIDIA H200 with 150,755 MB" in output
    assert "about 135,680 MB" in output


def test_several_gpus_count_together_and_one_without_memory_of_its_own_does_not(nvidia_smi):
    nvidia_smi(TALKATIVE)
    assert [gpu.name for gpu in recommend.gpus()] == ["NVIDIA A", "NVIDIA, Inc. B"]


@pytest.mark.parametrize(
    "error", [OSError(), subprocess.TimeoutExpired("x", 1), subprocess.CalledProcessError(9, "x")]
)
def test_where_nvidia_smi_fails_there_is_no_gpu(nvidia_smi, error):
    nvidia_smi(error)
    assert recommend.gpus() == []


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(recommend.shutil, "which", lambda _: None)
    assert recommend.gpus() == []
