"""Texts are cut into chunks of tokens that cover them and overlap as asked for."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.documents import tokens
from freehold.documents.chunking import Chunking, cut
from freehold.documents.errors import UnreadableError

MOST = 5_000_000


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("hello world", 2),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("2 + 2 = 4", 7),
        ("12345678", 3),
        ("お誕生日おめでとう", 9),
    ],
)
def test_tokens_are_those_of_the_vocabulary(text, count):
    assert sum(size for _, size in tokens.pieces(text)) == count


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=3000), st.integers(100, 400))
def test_chunks_cover_the_text_within_their_size(text, size):
    chunking = Chunking(size, size // 2)
    spans = cut(text * 5, chunking, MOST)
    assert all(span.tokens <= size for span in spans)
    assert all(span.start < span.end for span in spans)
    covered = 0
    for span in spans:
        assert not (text * 5)[covered : span.start].strip()
        covered = max(covered, span.end)
    assert not (text * 5)[covered:].strip()


def test_neighbours_share_at_most_the_overlap():
    text = "".join(f"word{n} " for n in range(5000))
    spans = cut(text, Chunking(800, 400), MOST)
    for one, other in pairwise(spans):
        shared = sum(size for _, size in tokens.pieces(text[other.start : one.end]))
        assert 300 <= shared <= 400


def test_chunks_end_with_sentences_where_they_can():
    text = "This is one of many sentences. " * 500
    spans = cut(text, Chunking(200, 50), MOST)
    assert all(text[: span.end].rstrip().endswith(".") for span in spans)


def test_blank_text_has_no_chunks():
    assert cut(" \n\t ", Chunking(800, 400), MOST) == []


def test_text_with_too_many_tokens_is_refused():
    with pytest.raises(UnreadableError, match="more than 100 tokens"):
        cut("word " * 200, Chunking(800, 400), 100)
