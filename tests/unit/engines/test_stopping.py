from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.base import TextDelta, TokenLogprob
from freehold.engines.stopping import StopFilter

letters = st.text(alphabet="ab\n", max_size=12)


def run(stops, pieces):
    stop = StopFilter(stops)
    out = []
    for piece in pieces:
        out += [delta.text for delta in stop.feed(TextDelta(piece))]
        if stop.stopped:
            return "".join(out), True
    return "".join(out + [delta.text for delta in stop.finish()]), False


@given(stops=st.lists(letters, max_size=4), pieces=st.lists(letters, max_size=12))
def test_text_is_cut_before_the_first_stop_string_wherever_pieces_end(stops, pieces):
    text = "".join(pieces)
    places = [text.find(stop) for stop in stops if stop and stop in text]
    expected = text[: min(places)] if places else text
    assert run(stops, pieces) == (expected, bool(places))


def test_text_that_cannot_begin_a_stop_string_is_not_held_back():
    stop = StopFilter(["END"])
    assert [d.text for d in stop.feed(TextDelta("word"))] == ["word"]
    assert stop.feed(TextDelta("E")) == []
    assert [d.text for d in stop.feed(TextDelta("at"))] == ["E", "at"]


def test_logprobs_of_cut_tokens_are_dropped_with_them():
    def delta(text):
        return TextDelta(text, logprobs=(TokenLogprob(text, text.encode(), -0.1),))

    stop = StopFilter(["##"])
    ready = [d for text in ("a", "#", "#") for d in stop.feed(delta(text))]
    assert [d.logprobs[0].token for d in ready] == ["a"]
    assert stop.stopped
