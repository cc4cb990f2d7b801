"""The arithmetic of the vision guide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.data import limits, vision

SIDES = st.integers(1, 20_000)
LOW, TILE = 85, 170


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [
        (1024, 1024, "high", 765),
        (2048, 4096, "high", 1105),
        (4096, 8192, "low", 85),
        (1024, 1024, "low", 85),
        (1, 1, "high", 255),
        (512, 512, "high", 255),
        (513, 512, "high", 425),
        (768, 768, "high", 765),
        (2048, 768, "high", 85 + 8 * 170),
        (512, 512, "auto", 85),
        (513, 512, "auto", 425),
        (1024, 1024, "auto", 765),
    ],
)
def test_the_guides_own_examples_and_its_borders(width, height, detail, tokens):
    assert vision.tokens(width, height, detail) == tokens


@given(SIDES, SIDES)
def test_low_costs_the_same_at_any_size(width, height):
    assert vision.tokens(width, height, "low") == LOW


@given(SIDES, SIDES)
def test_high_costs_one_to_eight_tiles(width, height):
    tiles, rest = divmod(vision.tokens(width, height, "high") - LOW, TILE)
    assert rest == 0
    assert 1 <= tiles <= 8


@given(SIDES, SIDES)
def test_lying_and_standing_cost_the_same(width, height):
    assert vision.tokens(width, height, "high") == vision.tokens(height, width, "high")


@given(SIDES, SIDES, st.integers(2, 9))
def test_a_larger_picture_of_the_same_shape_never_costs_less(width, height, times):
    small = vision.tokens(width, height, "high")
    assert vision.tokens(width * times, height * times, "high") >= small


@given(SIDES, SIDES)
def test_a_picture_that_needs_no_reduction_costs_its_own_tiles(width, height):
    if max(width, height) <= 2048 and min(width, height) <= 768:
        tiles = -(-width // 512) * -(-height // 512)
        assert vision.tokens(width, height, "high") == LOW + TILE * tiles


@given(SIDES, SIDES)
def test_auto_is_low_where_the_picture_fits_low_detail_else_high(width, height):
    expected = "low" if max(width, height) <= 512 else "high"
    assert vision.tokens(width, height, "auto") == vision.tokens(width, height, expected)


def test_the_guess_is_that_of_a_common_size():
    assert vision.guess("low") == 85
    assert vision.guess("auto") == vision.guess("high") == 765


def test_the_figures_are_those_of_the_guide():
    assert limits.figure("vision", "image_bytes") == 20 * 2**20
