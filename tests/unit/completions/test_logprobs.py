"""The older shape of log-probabilities: names, offsets, alternatives."""

from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.base import Candidate, TokenLogprob
from freehold.resources.completions.logprobs import LogprobWriter, joined


def token(raw, logprob=-1.0, top=()):
    return TokenLogprob(raw.decode(errors="replace"), raw, logprob, top)


def cut(text, sizes):
    """Return the text's bytes in pieces of these sizes, the rest as the last piece."""
    raw, at = text.encode(), 0
    for size in sizes:
        if raw[at : at + size]:
            yield raw[at : at + size]
        at += size
    if raw[at:]:
        yield raw[at:]


@given(st.text(), st.lists(st.integers(1, 4)), st.integers(0, 5))
def test_offsets_lead_to_the_character_that_a_token_begins_in(text, sizes, before):
    tokens = [token(raw) for raw in cut(text, sizes)]
    written = LogprobWriter(offset=before).write(tokens)
    read = b""
    for one, at in zip(tokens, written["text_offset"], strict=True):
        whole = read.decode(errors="ignore")
        assert at == before + len(whole)
        read += one.bytes
    assert read.decode() == text


@given(st.text(min_size=1), st.lists(st.integers(1, 4)), st.integers(0, 20))
def test_written_in_two_parts_is_written_whole(text, sizes, border):
    tokens = [token(raw) for raw in cut(text, sizes)]
    writer = LogprobWriter(offset=0)
    parts = [writer.write(tokens[:border], first=True), writer.write(tokens[border:])]
    whole = LogprobWriter(offset=0).write(tokens, first=border > 0)
    assert joined(*parts) == whole


def test_parts_of_characters_are_named_by_their_bytes():
    written = LogprobWriter(offset=0).write([token(b"\xf0\x9f"), token(b"\x90\x95"), token(b"!")])
    assert written["tokens"] == ["bytes:\\xf0\\x9f", "bytes:\\x90\\x95", "!"]
    assert written["text_offset"] == [0, 0, 1]


def test_the_drawn_token_is_told_even_where_others_were_likelier():
    top = (Candidate("a", b"a", -0.1), Candidate("b", b"b", -2.0))
    written = LogprobWriter(offset=0).write([token(b"z", -9.0, top), token(b"a", -0.1, top)])
    assert written["top_logprobs"] == [{"a": -0.1, "b": -2.0, "z": -9.0}, {"a": -0.1, "b": -2.0}]


def test_the_first_token_of_a_text_has_no_figures():
    written = LogprobWriter(offset=0).write([token(b"a"), token(b"b")], first=True)
    assert written["token_logprobs"] == [None, -1.0]
    assert written["top_logprobs"][0] is None
    assert LogprobWriter(offset=0).write([], first=True)["tokens"] == []
