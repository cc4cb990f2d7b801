"""How what two searches find becomes one list."""

import numpy as np
import pytest

from freehold.resources.vector_stores import ranking, search
from freehold.resources.vector_stores.ranking import Text
from freehold.storage.vectors import Near

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def test_what_is_high_in_both_lists_comes_before_what_is_first_in_one():
    near = [[Near(1, 0.9), Near(2, 0.8), Near(3, 0.7)]]
    scores = ranking.joined(near, [[4, 2, 5]])
    assert next(iter(scores)) == 2
    assert set(scores) == {1, 2, 3, 4, 5}


def test_first_of_every_list_scores_one_and_no_score_is_higher():
    assert ranking.joined([[Near(1, 0.9)]], [[1, 2]])[1] == 1.0
    assert ranking.joined([[Near(1, 0.9)], [Near(1, 0.2)]], [[1], [1, 2]])[1] == 1.0


def test_ranker_wants_meaning_and_words():
    texts = {
        1: Text("Opening hours of the museum: nine to five.", EAST),
        2: Text("Nothing of that kind at all.", EAST),
        3: Text("Opening hours of the museum: nine to five.", NORTH),
        4: Text("Nothing of that kind at all.", NORTH),
    }
    vectors = EAST.reshape(1, 2)
    scores = ranking.ranked(texts, ["When does the museum open? museum hours"], vectors)
    assert next(iter(scores)) == 1
    assert list(scores)[-1] == 4
    assert scores[4] == 0
    assert all(0 <= score <= 1 for score in scores.values())


def test_where_nothing_was_found_nothing_is_ranked():
    assert ranking.ranked({}, ["cats"], EAST.reshape(1, 2)) == {}
    assert ranking.joined([[]], [[]]) == {}


def test_rare_words_count_more():
    texts = {
        1: Text("report E4711", NORTH),
        **{number: Text("annual report", NORTH) for number in range(2, 9)},
    }
    scores = ranking.ranked(texts, ["report e4711"], EAST.reshape(1, 2))
    assert scores[1] > 2 * scores[2]


def test_best_question_counts():
    texts = {1: Text("cats", EAST)}
    both = ranking.ranked(texts, ["dogs", "cats"], np.stack([NORTH, EAST]))
    assert both[1] == pytest.approx(1.0)


def test_models_get_as_many_chunks_as_documented():
    assert search.results_for("gpt-3.5-turbo-0125") == 5
    assert search.results_for("gpt-4o") == 20


def test_budget_is_the_smaller_of_two():
    assert search.budget_for(None) == 16_000
    assert search.budget_for(2000) == 2000
    assert search.budget_for(100_000) == 16_000
