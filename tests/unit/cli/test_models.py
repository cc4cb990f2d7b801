import os
import tomllib

import pytest
from click.testing import CliRunner

from freehold.cli import main

BUILT_IN = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FREEHOLD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FREEHOLD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def freehold(*arguments):
    return CliRunner().invoke(main, list(arguments))


def bound(path):
    return tomllib.loads(path.read_text())["models"]


def test_list_says_what_answers_for_each_id():
    output = freehold("models", "list").output
    rows = {line.split()[0]: line.split()[2] for line in output.splitlines() if line}
    assert rows["gpt-4o"] == BUILT_IN
    assert "whisper-1" not in rows
    assert "whisper-1" in freehold("models", "list", "--all").output


def test_show_tells_the_catalogue_and_the_command_that_fetches_missing_weights():
    output = freehold("models", "show", "gpt-4o").output
    assert "id = gpt-4o-2024-08-06\n" in output
    assert "context_window = 128000\n" in output
    assert f"freehold models pull {BUILT_IN}" in output


def test_show_of_an_unknown_id_is_one_line():
    result = freehold("models", "show", "gpt-9")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The model `gpt-9` does not exist")


def test_a_file_is_bound_by_its_absolute_path_in_the_state_folders_file(folder):
    (folder / "file.gguf").write_bytes(b"GGUF")
    result = freehold("models", "add", "my-model", "./file.gguf", "--context", "4096")
    assert result.exit_code == 0, result.output
    binding = {"backend": "llama", "weights": str(folder / "file.gguf"), "context": 4096}
    assert bound(folder / "state" / "freehold.toml") == {"my-model": binding}
    assert "my-model" in freehold("models", "list").output


def test_a_file_in_the_current_folder_is_changed_where_there_is_one(folder):
    here = folder / "freehold.toml"
    here.write_text("# mine\nport = 9000\n")
    freehold("models", "add", "gpt-4*", "--base-url", "http://gpu:8000/v1", "--model", "llama")
    assert here.read_text().startswith("# mine\nport = 9000\n")
    assert bound(here)["gpt-4*"] == {
        "backend": "upstream",
        "base_url": "http://gpu:8000/v1",
        "model": "llama",
    }
    assert "UpstreamEngine, llama" in freehold("models", "show", "gpt-4o").output


def test_a_binding_is_removed(folder):
    freehold("models", "add", "x", "--base-url", "http://gpu:8000/v1")
    assert freehold("models", "remove", "x").exit_code == 0
    assert "models" not in tomllib.loads((folder / "state" / "freehold.toml").read_text())
    again = freehold("models", "remove", "x")
    assert again.exit_code == 1
    assert "binds no model 'x'" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("./none.gguf",), "There is no file "),
        ((), "Give either a SOURCE or --base-url."),
        (("./a.gguf", "--base-url", "http://x/v1"), "Give either a SOURCE or --base-url."),
    ],
)
def test_what_can_not_be_bound_changes_no_file(folder, arguments, message):
    result = freehold("models", "add", "x", *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert not (folder / "state" / "freehold.toml").exists()


def test_pull_of_unknown_weights_is_one_line():
    result = freehold("models", "pull", "nothing-of-this-name")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_pull_fetches_nothing_where_everything_answers_elsewhere(folder):
    (folder / "freehold.toml").write_text(
        'default_model = "x"\ndefault_embedding_model = "none"\n'
        '[models.x]\nbackend = "upstream"\nbase_url = "http://gpu:8000/v1"\n'
    )
    result = freehold("models", "pull")
    assert result.exit_code == 0
    assert not (folder / "state" / "weights").exists()


def test_a_projector_a_kind_and_a_pin_are_written(folder):
    for name in ("file.gguf", "eyes.gguf", "model.safetensors"):
        (folder / name).write_bytes(b"GGUF")
    freehold("models", "add", "seer", "file.gguf", "--mmproj", "eyes.gguf", "--pinned")
    freehold("models", "add", "meaning", "model.safetensors", "--kind", "embedding")
    found = bound(folder / "state" / "freehold.toml")
    assert (found["seer"]["mmproj"], found["seer"]["pinned"]) == (str(folder / "eyes.gguf"), True)
    assert (found["meaning"]["backend"], found["meaning"]["kind"]) == ("minilm", "embedding")
    assert "pinned" not in found["meaning"]


def test_a_pattern_of_the_wrong_kind_is_refused_before_anything_is_written(folder):
    (folder / "file.gguf").write_bytes(b"GGUF")
    result = freehold("models", "add", "text-embedding-*", "file.gguf")
    assert result.exit_code == 1
    assert 'add kind = "embedding"' in result.output
    assert not (folder / "state" / "freehold.toml").exists()


def test_wrong_options_in_the_file_are_one_line(folder):
    (folder / "freehold.toml").write_text(
        '[models.x]\nweights = "x.gguf"\n[models.x.options]\nn_gpu_layer = 1\n'
    )
    result = freehold("models", "list")
    assert result.exit_code == 1
    assert result.output == (
        'Error: models."x".options: Unknown option n_gpu_layer. Did you mean n_gpu_layers?\n'
    )


def test_a_default_that_is_no_model_is_one_line(folder):
    (folder / "freehold.toml").write_text('default_embedding_model = "nothing"\n')
    result = freehold("models", "pull")
    assert result.exit_code == 1
    assert result.output.startswith("Error: Setting default_embedding_model: ")
