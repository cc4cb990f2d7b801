"""What the moderation classifier reads: the same of the same text, all of a long one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.moderation_features import BUCKETS, PIECE, grams, pieces


def test_a_short_text_is_one_piece_without_its_outer_spaces():
    assert pieces("  Hello there.\n") == ["Hello there."]


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_nothing_but_spaces_has_no_pieces(text):
    assert pieces(text) == []


def test_pieces_of_a_long_text_overlap_and_end_at_words():
    text = " ".join(f"word{number}" for number in range(1000))
    found = pieces(text)
    assert len(found) > 5
    for first, second in pairwise(found):
        assert set(first.split()) & set(second.split())
    assert {word for piece in found for word in piece.split()} >= set(text.split())


@given(st.text(st.characters(codec="utf-8"), max_size=6000))
def test_pieces_cover_any_text_and_none_is_too_long(text):
    found = pieces(text)
    assert all(len(piece) <= PIECE for piece in found)
    assert all(piece in text for piece in found)
    assert sum(map(len, found)) >= len(text.strip())


def test_a_text_without_spaces_is_cut_all_the_same():
    assert len(pieces("x" * 5000)) > 4


@pytest.mark.parametrize("text", ["KILL", "kIll", "\uff4b\uff49\uff4c\uff4c", "k\u200bi\u200bll"])
def test_case_width_and_invisible_letters_change_nothing(text):
    assert set(grams(text)) == set(grams("kill"))


@given(st.text(max_size=300))
def test_grams_are_distinct_buckets(text):
    found = grams(text)
    assert all(0 <= bucket < BUCKETS for bucket in found)
    assert len(found) < 20 * len(text) + 20


def test_grams_are_the_same_in_every_process():
    assert sorted(grams("a b")) == [25941, 36747, 44032, 56392, 64954]
