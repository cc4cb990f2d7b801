from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import settings
from freehold.core.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_every_setting_has_its_default():
    loaded = load(environ={})
    assert loaded.settings.port == 8080
    assert loaded.settings.host == "127.0.0.1"
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(Settings.model_fields)


def test_state_dir_is_expanded(tmp_path):
    assert load(environ={}).settings.state_dir == tmp_path / "home" / ".freehold"
    assert load({"state_dir": "~/x"}, environ={}).settings.state_dir == tmp_path / "home" / "x"


def test_environment_wins_over_file_and_flag_wins_over_environment(tmp_path):
    path = write(tmp_path / "freehold.toml", 'host = "0.0.0.0"\nport = 1\nlog_level = "error"\n')
    environ = {"FREEHOLD_PORT": "2", "FREEHOLD_LOG_LEVEL": "debug"}
    loaded = load({"log_level": "warning", "port": None}, environ)
    found = loaded.settings
    assert (found.host, found.port, found.log_level) == ("0.0.0.0", 2, "warning")  # noqa: S104 - a value that is only compared
    assert loaded.origins["host"] == f"file {path}"
    assert loaded.origins["port"] == "environment FREEHOLD_PORT"
    assert loaded.origins["log_level"] == "flag --log-level"
    assert loaded.origins["slots"] == "default"


def test_flag_names_are_written_with_dashes(tmp_path):
    loaded = load({"state_dir": tmp_path}, environ={})
    assert loaded.origins["state_dir"] == "flag --state-dir"


def test_file_is_taken_from_flag_then_variable_then_here_then_state_folder(tmp_path):
    flag = write(tmp_path / "a.toml", "port = 1")
    variable = write(tmp_path / "b.toml", "port = 2")
    here = write(tmp_path / "freehold.toml", "port = 3")
    state = write(tmp_path / "state" / "freehold.toml", "port = 4")
    environ = {"FREEHOLD_CONFIG": str(variable), "FREEHOLD_STATE_DIR": str(tmp_path / "state")}
    assert load(environ=environ, file=flag).settings.port == 1
    assert load(environ=environ).settings.port == 2
    del environ["FREEHOLD_CONFIG"]
    assert load(environ=environ).settings.port == 3
    here.unlink()
    assert load(environ=environ).settings.port == 4
    assert load(environ=environ).file == state


def test_without_a_file_the_state_folder_names_where_it_would_be(tmp_path):
    loaded = load({"state_dir": tmp_path / "state"}, environ={})
    assert loaded.file == tmp_path / "state" / "freehold.toml"
    assert not loaded.file.exists()


@pytest.mark.parametrize("source", ["flag", "variable"])
def test_a_named_file_that_is_missing_is_refused(tmp_path, source):
    missing = tmp_path / "none.toml"
    environ = {"FREEHOLD_CONFIG": str(missing)} if source == "variable" else {}
    with pytest.raises(SettingsError, match=r"none\.toml does not exist"):
        load(environ=environ, file=missing if source == "flag" else None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", r"Unknown setting prot \(file .*\)\. Did you mean port\?"),
        ('[models.x]\nwieghts = "a.gguf"', r"Unknown setting models\.x\.wieghts .*mean weights\?"),
        ('[models."gpt-4*"]\nzzzz = 1', r'models\."gpt-4\*"\.zzzz .* Known: backend'),
        ("port = 99999", r"Setting port \(file .*\) is wrong: .*less than or equal to 65535"),
        ('log_level = "loud"', r"Setting log_level .*'debug', 'info', 'warning' or 'error'"),
        ("models = 3", r"Setting models "),
        ("[models]\nx = 3", r"Setting models\.x "),
        ("port = ", r"freehold\.toml is not valid TOML: "),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_the_setting(tmp_path, text, message):
    write(tmp_path / "freehold.toml", text)
    with pytest.raises(SettingsError, match=message) as caught:
        load(environ={})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("FREEHOLD_PROT", "FREEHOLD_PORT"), ("FREEHOLD_STATEDIR", "FREEHOLD_STATE_DIR")],
)
def test_unknown_variables_are_refused_with_the_nearest_right_one(variable, hint):
    with pytest.raises(SettingsError, match=f"{variable}. Did you mean {hint}"):
        load(environ={variable: "1"})


def test_models_can_not_be_set_by_a_variable():
    with pytest.raises(SettingsError, match="Unknown environment variable FREEHOLD_MODELS"):
        load(environ={"FREEHOLD_MODELS": "x"})


def test_variables_of_the_chat_command_and_of_tests_are_known():
    environ = dict.fromkeys(
        ["FREEHOLD_API_KEY", "FREEHOLD_BASE_URL", "FREEHOLD_TEST_ANYTHING", "FREEHOLD_CONFIG"], ""
    )
    assert load(environ=environ).settings.port == 8080


def test_an_empty_variable_counts_as_unset():
    loaded = load(environ={"FREEHOLD_PORT": ""})
    assert loaded.settings.port == 8080
    assert loaded.origins["port"] == "default"


def test_a_wrong_variable_is_refused_by_its_name():
    with pytest.raises(SettingsError, match=r"port \(environment FREEHOLD_PORT\) is wrong"):
        load(environ={"FREEHOLD_PORT": "many"})


@given(st.lists(st.from_regex(r"https?://[a-z.]{1,20}(:[0-9]{1,4})?", fullmatch=True)))
def test_lists_are_comma_separated(origins):
    found = load(environ={"FREEHOLD_CORS_ORIGINS": " , ".join(origins)}).settings
    assert found.cors_origins == origins


@pytest.mark.parametrize(("text", "value"), [("false", False), ("0", False), ("true", True)])
def test_switches_are_read_from_words_and_digits(text, value):
    assert load(environ={"FREEHOLD_RATE_LIMITS": text}).settings.rate_limits is value


def test_relative_paths_in_the_file_start_at_the_file(tmp_path):
    folder = tmp_path / "etc"
    path = write(
        folder / "f.toml",
        'state_dir = "state"\n[models.a]\nweights = "a.gguf"\ntemplate = "a.jinja"\n'
        '[models.b]\nweights = "hf:org/repo:file.gguf"\n',
    )
    found = load(environ={}, file=path).settings
    assert found.state_dir == folder / "state"
    assert found.models["a"].weights == str(folder / "a.gguf")
    assert found.models["a"].template == folder / "a.jinja"
    assert found.models["b"].weights == "hf:org/repo:file.gguf"


def test_a_binding_is_checked_as_the_file_is():
    assert settings.parse_binding("x", {"slots": 2}).slots == 2
    with pytest.raises(SettingsError, match=r"models\.x\.slots"):
        settings.parse_binding("x", {"slots": 0})


def test_relative_paths_in_options_start_at_the_file_too(tmp_path):
    path = write(
        tmp_path / "etc" / "f.toml",
        '[models.a]\nweights = "a.gguf"\n[models.a.options]\ndraft = "d.gguf"\n'
        'lora = [{ path = "l.gguf" }, { path = "hf:org/repo:l.gguf" }]\n',
    )
    options = load(environ={}, file=path).settings.models["a"].options
    assert options["draft"] == str(tmp_path / "etc" / "d.gguf")
    found = [adapter["path"] for adapter in options["lora"]]
    assert found == [str(tmp_path / "etc" / "l.gguf"), "hf:org/repo:l.gguf"]


def test_an_address_means_an_upstream_unless_told_otherwise():
    address = {"base_url": "http://gpu:8000/v1"}
    assert settings.parse_binding("x", address).backend == "upstream"
    assert settings.parse_binding("x", address | {"backend": "my.own:Engine"}).backend != "upstream"
    assert settings.parse_binding("x", {}).backend == "llama"
