"""What serves the ids of moderation, and on which engine."""

import pytest

from freehold.cli.bindings import needed_weights, wanted_weights
from freehold.core.errors import NotBuiltError
from freehold.core.settings import Settings, SettingsError
from freehold.data.models import catalogue
from freehold.engines.registry import Registry

OMNI, OLDER = "omni-moderation-latest", "text-moderation-stable"
UPSTREAM = {"base_url": "http://gpu:8000/v1"}


def registry(folder, **settings):
    return Registry(catalogue(), Settings.model_validate(settings), None, folder)


def test_all_ids_share_one_classifier_on_the_built_in_embedding_model(tmp_path):
    found = registry(tmp_path)
    omni, older = found.find(OMNI), found.find(OLDER)
    assert omni.moderation is older.moderation
    assert omni.spec.base == found.find("all-minilm-l6-v2").spec


@pytest.mark.parametrize(
    "settings",
    [
        {"default_embedding_model": "none"},
        {"models": {"all-minilm-l6-v2": {**UPSTREAM, "kind": "embedding"}}},
        {"models": {"text-embedding-*": {**UPSTREAM, "kind": "embedding"}}},
    ],
)
def test_the_classifier_keeps_its_embedding_model_whatever_is_bound(tmp_path, settings):
    spec = registry(tmp_path, **settings).find(OMNI).spec
    assert spec.base.weights == "all-minilm-l6-v2"
    assert spec.base.backend.endswith(":MiniLMEngine")


def test_a_judge_stands_on_the_model_that_it_names(tmp_path):
    models = {"guard": UPSTREAM, OMNI: {"backend": "judge", "model": "guard"}}
    found = registry(tmp_path, models=models)
    assert found.find(OMNI).spec.base == found.find("guard").spec
    assert found.find(OLDER).spec.base.weights == "all-minilm-l6-v2"


def test_an_own_id_moderates_and_takes_pictures(tmp_path):
    models = {"guard": UPSTREAM}
    models["mine"] = {"backend": "judge", "model": "guard", "kind": "moderation"}
    found = registry(tmp_path, models=models).find("mine")
    assert found.row.input == ("text", "image")
    assert found.row.operations == ("createModeration",)
    assert found.moderation


def test_the_classifier_can_be_bound_by_its_name(tmp_path):
    models = {"mine": {"backend": "classifier", "kind": "moderation"}}
    found = registry(tmp_path, models=models)
    assert found.find("mine").moderation is found.find(OMNI).moderation


def test_models_of_other_kinds_moderate_nothing(tmp_path):
    with pytest.raises(NotBuiltError):
        _ = registry(tmp_path).find("gpt-4o").moderation


def test_pull_wants_what_moderation_needs_but_no_start_depends_on_it(tmp_path):
    settings = Settings.model_validate({"state_dir": tmp_path, "default_embedding_model": "none"})
    assert "all-minilm-l6-v2" not in needed_weights(settings)
    assert list(wanted_weights(settings))[-2:] == ["all-minilm-l6-v2", "open-nsfw"]


def test_pull_wants_nothing_for_moderation_where_everything_answers_elsewhere(tmp_path):
    settings = Settings.model_validate(
        {
            "state_dir": tmp_path,
            "default_model": "x",
            "default_embedding_model": "none",
            "models": {"x": UPSTREAM},
        }
    )
    assert wanted_weights(settings) == {}


@pytest.mark.parametrize("name", [OMNI, "mine", "*-moderation-*"])
@pytest.mark.parametrize("binding", [UPSTREAM, {"weights": "guard.gguf"}, {"backend": "minilm"}])
def test_what_can_not_moderate_stops_the_start(tmp_path, name, binding):
    with pytest.raises(SettingsError, match="one of classifier, judge or module:Class"):
        registry(tmp_path, models={name: {**binding, "kind": "moderation"}})
