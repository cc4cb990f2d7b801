"""How a chat model's words become scores."""

import math

import pytest

from freehold.core.errors import InternalServerError
from freehold.data.moderations import CATEGORIES, hazards
from freehold.engines.backends.judge import Answer, JudgeEngine, LlamaGuard, ScoresAsJSON
from freehold.engines.base import Candidate, EngineConfig, EngineLoadError, TokenLogprob


def token(text, probability, **others):
    top = [Candidate(text, text.encode(), math.log(probability))]
    top += [Candidate(word, word.encode(), math.log(p)) for word, p in others.items()]
    return TokenLogprob(text, text.encode(), math.log(probability), tuple(top))


def test_llama_guards_score_is_how_likely_unsafe_was():
    logprobs = [token("\n\n", 1.0), token("unsafe", 0.6, safe=0.4), token("\n", 1.0)]
    scores = LlamaGuard().scores(Answer("\n\nunsafe\nS10", logprobs, 9))
    assert scores["hate"] == pytest.approx(0.6)
    assert scores["violence"] == 0.0


def test_a_word_in_two_tokens_counts_by_its_first():
    logprobs = [token("uns", 0.3, safe=0.1), token("afe", 1.0)]
    assert LlamaGuard().scores(Answer("unsafe\nS12", logprobs, 9))["sexual"] == pytest.approx(0.75)


def test_without_log_probabilities_the_verdict_is_the_score():
    assert LlamaGuard().scores(Answer("unsafe\nS11", [], 9))["self-harm"] == 1.0
    assert set(LlamaGuard().scores(Answer("safe", [], 9)).values()) == {0.0}


@pytest.mark.parametrize("said", ["", "Safe enough", "un safe", "{}"])
def test_other_words_are_no_verdict(said):
    with pytest.raises(InternalServerError):
        LlamaGuard().scores(Answer(said, [], 9))


@pytest.mark.parametrize("said", ["", "[]", '{"hate": 3}', '{"hate": "much"}', '{"hate"'])
def test_half_a_rating_is_no_verdict(said):
    with pytest.raises(InternalServerError):
        ScoresAsJSON().scores(Answer(said, [], 9))


def test_hazards_name_our_categories_only():
    assert set(hazards()) == {f"S{number}" for number in range(1, 15)}
    assert {name for names in hazards().values() for name in names} <= set(CATEGORIES)


async def test_a_judge_without_a_model_can_not_be_loaded(tmp_path):
    with pytest.raises(EngineLoadError):
        await JudgeEngine.load(EngineConfig("x", tmp_path))
