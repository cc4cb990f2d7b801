"""Which engine answers for an id, and what is said where none does."""

import json
import sys
from types import ModuleType

import pytest

from freehold.core.errors import (
    BadRequestError,
    InternalServerError,
    NotBuiltError,
    NotFoundError,
    ServiceUnavailableError,
)
from freehold.core.settings import ModelBinding, Settings, SettingsError
from freehold.data.models import catalogue
from freehold.engines.base import EngineConfig, EngineLoadError, EngineStatus
from freehold.engines.registry import Registry
from freehold.engines.weights import WeightsStore

BACKEND = "a_backend_of_a_test:Engine"


class Engine:
    """Records how it was loaded."""

    loaded: list[EngineConfig]
    closed = 0
    window = 100
    slots = 1

    @classmethod
    async def load(cls, config: EngineConfig) -> "Engine":
        cls.loaded.append(config)
        return cls()

    def status(self) -> EngineStatus:
        return EngineStatus("ready", slots=1, busy=0, restarts=0, window=100)

    async def close(self) -> None:
        type(self).closed += 1


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    module = ModuleType("a_backend_of_a_test")
    made = type("Engine", (Engine,), {"loaded": [], "closed": 0})
    module.Engine = made
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


@pytest.fixture
def make(tmp_path):
    def build(
        default: str = "smollm2-135m-instruct", fields: dict | None = None, **models: ModelBinding
    ) -> Registry:
        settings = Settings(
            state_dir=tmp_path, default_model=default, models=models, **(fields or {})
        )
        return Registry(catalogue(), settings, WeightsStore(tmp_path), tmp_path)

    return build


def bound(name: str, **fields) -> dict[str, ModelBinding]:
    return {name: ModelBinding(**{"backend": BACKEND, **fields})}


def test_an_unknown_id_is_not_found_in_openais_words(make):
    with pytest.raises(NotFoundError) as caught:
        make().find("gpt-9")
    assert caught.value.body() == {
        "error": {
            "message": "The model `gpt-9` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    }


def test_an_alias_answers_as_its_snapshot(make):
    model = make().find("gpt-4o")
    assert (model.id, model.snapshot) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (model.vocabulary, model.native_ids) == ("o200k_base", False)


def test_unbound_text_ids_share_the_default_engine(make):
    registry = make()
    holders = {
        id(registry.find(name).text)
        for name in ("gpt-4o", "gpt-4o-mini", "davinci-002", "smollm2-135m-instruct")
    }
    assert len(holders) == 1


def test_the_default_engines_sampling_applies_to_unbound_ids(make):
    model = make().find("gpt-4o")
    assert model.temperature() == 0.0
    assert model.temperature(3) == 0.7


def test_ids_of_other_kinds_have_no_text_engine(make):
    with pytest.raises(NotBuiltError, match="tts-1"):
        _ = make().find("tts-1").text


def test_an_exact_binding_beats_its_snapshots_and_any_pattern(make):
    registry = make(
        **bound("gpt-4o", model="a"),
        **bound("gpt-4o-2024-08-06", model="b"),
        **bound("gpt-*", model="c"),
    )
    names = {i: registry.find(i).spec.model for i in ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4")}
    assert names == {"gpt-4o": "a", "gpt-4o-2024-08-06": "b", "gpt-4": "c"}


def test_a_binding_of_an_alias_holds_for_its_snapshot_and_back(make):
    assert make(**bound("gpt-4o", model="a")).find("gpt-4o-2024-08-06").spec.model == "a"
    assert make(**bound("gpt-4o-2024-08-06", model="a")).find("gpt-4o").spec.model == "a"


def test_the_longest_pattern_wins(make):
    registry = make(**bound("gpt-*", model="a"), **bound("gpt-4o*", model="b"))
    assert registry.find("gpt-4o-mini").spec.model == "b"


def test_patterns_make_no_new_ids(make):
    with pytest.raises(NotFoundError):
        make(**bound("*")).find("gpt-9")


def test_an_own_id_takes_what_our_model_takes(make):
    registry = make(**bound("mine", context_window=2048, owned_by="me", temperature=0.3))
    model = registry.find("mine")
    assert (model.snapshot, model.row.context_window, model.row.owned_by) == ("mine", 2048, "me")
    assert model.native_ids
    assert model.temperature() == 0.3
    registry.require(model, "createChatCompletion")
    registry.require(model, "createCompletion")


def test_own_ids_are_listed_after_the_catalogue(make):
    registry = make(**bound("mine"), **bound("gpt-4o"), **bound("gpt-4*"))
    listed = [m.id for m in registry.models()]
    assert listed[-1] == "mine"
    assert listed[:-1] == list(catalogue().ids())
    assert registry.is_own("mine")
    assert not registry.is_own("gpt-4o")


def test_unknown_weights_use_the_apis_temperature(make):
    assert make(**bound("mine", weights="/x.gguf")).find("mine").temperature() == 1.0


def test_an_upstream_chooses_its_own_temperature(make):
    binding = ModelBinding(backend="upstream", base_url="http://x/v1")
    assert make(mine=binding).find("mine").temperature() is None


def test_bound_catalogue_weights_share_the_built_in_engine(make):
    registry = make(mine=ModelBinding(weights="smollm2-135m-instruct"))
    assert registry.find("mine").text is registry.find("gpt-4o").text
    assert registry.find("mine").temperature() == 0.0


async def test_a_backend_gets_what_the_binding_says(make, engine, tmp_path):
    weights, template = tmp_path / "w.gguf", tmp_path / "t.jinja"
    weights.write_bytes(b"GGUF")
    template.write_text("{{ messages }}")
    registry = make(
        **bound(
            "mine",
            weights=str(weights),
            template=template,
            system_prompt="Hi.",
            slots=3,
            context=512,
            base_url="http://x",
        )
    )
    await registry.find("mine").text.ensure_loaded()
    (config,) = engine.loaded
    assert config.weights == weights
    assert (config.template, config.system_prompt) == ("{{ messages }}", "Hi.")
    assert (config.slots, config.context, config.runtime_dir) == (3, 512, tmp_path)
    assert config.options["base_url"] == "http://x"


async def test_missing_weights_are_told_when_the_engine_is_loaded(make):
    with pytest.raises(EngineLoadError, match="freehold models pull smollm2-135m-instruct"):
        await make().ensure_default_loaded()


async def test_a_backend_that_cannot_be_imported_is_named(make):
    registry = make(mine=ModelBinding(backend="nowhere:Engine"))
    with pytest.raises(EngineLoadError, match="nowhere:Engine"):
        await registry.find("mine").text.ensure_loaded()


async def test_the_default_may_be_an_own_id(make, engine):
    registry = make("mine", **bound("mine"))
    await registry.ensure_default_loaded()
    assert len(engine.loaded) == 1
    assert registry.find("gpt-4o").text is registry.find("mine").text


@pytest.mark.parametrize("default", ["gpt-4o", "tts-1", "gpt-9"])
async def test_a_default_that_nothing_serves_says_so(make, default):
    with pytest.raises(EngineLoadError, match=default):
        await make(default).ensure_default_loaded()


def test_an_unbound_id_without_a_served_default_is_our_fault(make):
    with pytest.raises(InternalServerError) as caught:
        make("gpt-4o").find("gpt-4o-mini")
    assert caught.value.retryable is False


async def test_close_stops_every_engine(make, engine):
    registry = make(**bound("a", model="1"), **bound("b", model="2"))
    for name in ("a", "b"):
        await registry.find(name).text.ensure_loaded()
    assert set(registry.statuses()) == {"1", "2"}
    await registry.close()
    assert engine.closed == 2


def test_engines_of_one_name_are_told_apart(make):
    registry = make(**bound("a", model="x"), **bound("b", model="x", slots=2))
    assert registry.find("a").text is not registry.find("b").text
    assert set(registry.statuses()) == {"x", "x #2"}


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("gpt-3.5-turbo-instruct", "v1/completions"),
        ("tts-1", "v1/audio/speech"),
        ("text-embedding-3-small", "v1/embeddings"),
        ("gpt-4o-realtime-preview", "v1/realtime/sessions"),
        ("dall-e-2", "v1/images/generations or v1/images/edits or v1/images/variations"),
    ],
)
def test_no_chat_model_at_the_chat_endpoint(make, model, endpoint):
    registry = make()
    with pytest.raises(NotFoundError) as caught:
        registry.require(registry.find(model), "createChatCompletion")
    assert caught.value.message == (
        "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
        f"Did you mean to use {endpoint}?"
    )
    assert (caught.value.param, caught.value.code) == ("model", None)


def test_a_chat_model_at_the_completions_endpoint(make):
    registry = make()
    with pytest.raises(NotFoundError, match="This is a chat model and not supported in the v1/com"):
        registry.require(registry.find("gpt-4o"), "createCompletion")


def test_other_wrong_endpoints_say_which_are_right(make):
    registry = make()
    with pytest.raises(BadRequestError, match="Use it with v1/chat/completions") as caught:
        registry.require(registry.find("gpt-4o"), "createEmbedding")
    assert caught.value.code == "unsupported_model"


def test_every_operation_of_a_row_is_allowed(make):
    registry = make()
    for listed in catalogue().listed():
        model = registry.find(listed.id)
        for operation in model.row.operations:
            registry.require(model, operation)


def test_unbound_embedding_ids_share_the_default_embedding_engine(make):
    registry = make()
    ids = ("text-embedding-3-small", "text-embedding-ada-002", "all-minilm-l6-v2")
    assert len({id(registry.find(name).embedding) for name in ids}) == 1
    with pytest.raises(NotBuiltError, match="no text engine"):
        _ = registry.find("text-embedding-3-small").text
    with pytest.raises(NotBuiltError, match="no embedding engine"):
        _ = registry.find("gpt-4o").embedding


def test_embedding_ids_can_be_left_unserved(make):
    registry = make(fields={"default_embedding_model": "none"})
    with pytest.raises(NotBuiltError, match="text-embedding-3-small"):
        _ = registry.find("text-embedding-3-small").embedding


@pytest.mark.parametrize("default", ["gpt-4o", "nothing"])
def test_a_default_embedding_model_that_embeds_nothing_is_named(make, default):
    with pytest.raises(InternalServerError, match=f"`{default}`.*default_embedding_model"):
        make(fields={"default_embedding_model": default}).find("text-embedding-3-small")


def test_an_own_embedding_id_takes_what_our_embedding_model_takes(make):
    registry = make(**bound("mine", kind="embedding"))
    model = registry.find("mine")
    registry.require(model, "createEmbedding")
    with pytest.raises(NotFoundError):
        registry.require(model, "createChatCompletion")
    assert model.embedding.status().state == "unloaded"


def test_a_pattern_binds_ids_of_its_kind_only(make):
    registry = make(**bound("*", model="x"))
    assert registry.find("gpt-4o").spec.model == "x"
    assert registry.find("text-embedding-3-small").spec.model == "all-minilm-l6-v2"
    registry = make(**bound("text-*", model="x", kind="embedding"))
    assert registry.find("text-embedding-3-small").spec.model == "x"


def test_a_pattern_that_matches_other_kinds_only_is_refused(make):
    with pytest.raises(SettingsError, match=r'"text-emb\*".*kind = "embedding"'):
        make(**bound("text-emb*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_gpu_layer": 1}, "Did you mean n_gpu_layers?"),
        ({"use_mlock": True}, "Did you mean load_mode?"),
        ({"n_ctx": 512}, "is a setting of the model itself: context"),
        ({"n_gpu_layers": "all"}, "a whole number"),
    ],
)
def test_wrong_options_are_refused_before_any_engine_is_loaded(make, options, message):
    with pytest.raises(SettingsError, match=r'models\."mine"\.options: .*') as refusal:
        make(mine=ModelBinding(weights="/x.gguf", options=options))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantised": True}, "Unknown option quantised. Known: precision."),
        ({"precision": "int4"}, "Option precision is wrong: it should be float32 or int8."),
        ({"precision": ["int8"]}, "Option precision is wrong"),
    ],
)
def test_wrong_options_of_an_embedding_model_are_refused_by_name(make, options, message):
    binding = ModelBinding(
        backend="minilm", kind="embedding", weights="all-minilm-l6-v2", options=options
    )
    with pytest.raises(SettingsError, match=r'models\."mine"\.options: .*') as refusal:
        make(mine=binding)
    assert message in str(refusal.value)


def test_options_of_a_backend_that_has_none_are_refused(make):
    binding = ModelBinding(backend="upstream", base_url="http://x/v1", options={"n_batch": 1})
    with pytest.raises(SettingsError, match="upstream takes no options"):
        make(mine=binding)


async def test_options_reach_the_backend(make, engine):
    registry = make(**bound("mine", options={"anything": 1}))
    await registry.find("mine").text.ensure_loaded()
    assert engine.loaded[0].options["anything"] == 1


def test_a_projector_is_an_option_of_the_engine(make):
    registry = make(mine=ModelBinding(weights="/x.gguf", mmproj="/p.gguf"))
    assert json.loads(registry.find("mine").spec.options) == {"mmproj.path": "/p.gguf"}


def weights(folder, name, size):
    file = folder / name
    file.write_bytes(b"x" * size)
    return str(file)


async def test_a_model_leaves_memory_for_another_and_comes_back(make, engine, tmp_path):
    registry = make(
        fields={"memory_budget_mb": 1},
        **bound("a", weights=weights(tmp_path, "a", 700_000)),
        **bound("b", weights=weights(tmp_path, "b", 700_000)),
    )
    for name in ("a", "b", "a"):
        async with registry.find(name).text.admit():
            assert registry.find(name).text.loaded
    assert [config.weights.name for config in engine.loaded] == ["a", "b", "a"]
    assert engine.closed == 2


async def test_a_pinned_model_stays_and_the_other_is_told_why(make, engine, tmp_path):
    registry = make(
        fields={"memory_budget_mb": 1},
        **bound("a", weights=weights(tmp_path, "a", 700_000), pinned=True),
        **bound("b", weights=weights(tmp_path, "b", 700_000)),
    )
    await registry.find("a").text.ensure_loaded()
    with pytest.raises(ServiceUnavailableError, match="memory_budget_mb"):
        await registry.find("b").text.ensure_loaded()
    assert registry.statuses()["a"].state == "ready"


async def test_all_parts_of_weights_count(make, tmp_path):
    first = weights(tmp_path, "w-00001-of-00002.gguf", 600_000)
    weights(tmp_path, "w-00002-of-00002.gguf", 600_000)
    registry = make(fields={"memory_budget_mb": 1}, **bound("a", weights=first))
    with pytest.raises(ServiceUnavailableError, match="1 MB"):
        await registry.find("a").text.ensure_loaded()


async def test_the_default_is_not_loaded_again_only_to_be_ready(make, engine):
    registry = make("mine", **bound("mine"))
    await registry.ensure_default_loaded()
    registry.find("mine").text.unload()
    await registry.ensure_default_loaded()
    assert len(engine.loaded) == 1


async def test_a_default_without_room_is_told(make, tmp_path):
    binding = bound("mine", weights=weights(tmp_path, "w", 2_000_000))
    registry = make("mine", fields={"memory_budget_mb": 1}, **binding)
    with pytest.raises(EngineLoadError, match="memory_budget_mb"):
        await registry.ensure_default_loaded()


def test_a_status_tells_which_ids_the_engine_was_asked_for(make):
    registry = make("mine", **bound("mine"))
    registry.find("gpt-4o")
    assert registry.statuses()["mine"].serves == ("gpt-4o", "mine")
