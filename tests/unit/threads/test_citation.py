"""Marks stand behind sentences that come from a passage, wherever the pieces of an answer end."""

import pytest

from freehold.resources.threads.citation import Citer, sources, without_marks

PASSAGE = "The harbour of Lund was opened in 1904. Its crane lifts forty tonnes."
OTHER = "Bees make honey from the nectar of flowers."


def steps(*texts):
    results = [
        {"file_id": f"file-{n}", "file_name": f"{n}.txt", "content": [{"text": text}]}
        for n, text in enumerate(texts)
    ]
    call = {"type": "file_search", "file_search": {"results": results}}
    return [{"details": {"type": "tool_calls", "tool_calls": [call]}}]


def said(answer, *texts, size=1000):
    """Return the text of an answer that comes in pieces, and its annotations."""
    citer = Citer(sources(steps(*texts), 4))
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    out = [one for piece in pieces for one in citer.feed(piece)] + citer.finish()
    text = "".join(one.text for one in out)
    return text, [one.annotation for one in out if one.annotation]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_each_sentence_has_the_mark_of_its_source(size):
    answer = "The harbour was opened in 1904. Bees make honey.\nWhat else would you like?"

    text, annotations = said(answer, PASSAGE, OTHER, size=size)

    assert text == (
        "The harbour was opened in 1904.【4:0†0.txt】 Bees make honey.【4:1†1.txt】\n"
        "What else would you like?"
    )
    for annotation in annotations:
        start, end = annotation["start_index"], annotation["end_index"]
        assert text[start:end] == annotation["text"]
    ids = [annotation["file_citation"]["file_id"] for annotation in annotations]
    assert ids == ["file-0", "file-1"]


def test_last_sentence_needs_no_full_stop():
    text, annotations = said("It lifts forty tonnes, the crane", PASSAGE)
    assert text.endswith("crane【4:0†0.txt】")
    assert len(annotations) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "I do not know.",
        "Yes.",
        "Its owner is a rich merchant.",
        "The harbour of Lund was opened in 1905.",
        "",
    ],
)
def test_what_is_in_no_passage_is_not_cited(answer):
    assert said(answer, PASSAGE, OTHER) == (answer, [])


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_marks_of_the_models_own_are_dropped(size):
    text, annotations = said("Hello【9:9†fake.pdf】 there 【note】", PASSAGE, size=size)
    assert text == "Hello there 【note】"
    assert annotations == []


def test_number_alone_is_enough():
    assert said("1904", PASSAGE)[0] == "1904【4:0†0.txt】"


def test_marks_of_earlier_answers_are_not_shown_to_the_model():
    assert without_marks("One.【4:0†a.txt】 Two【10:12†b c.pdf】") == "One. Two"


@pytest.mark.parametrize(
    "answer",
    [
        "The text does not say when the harbour of Lund was opened.",
        "The file doesn't mention who opened the harbour of Lund in 1904.",
        "It could not be found whose crane lifts forty tonnes.",
    ],
)
def test_what_a_passage_is_said_not_to_hold_is_not_cited(answer):
    assert said(answer, PASSAGE) == (answer, [])


@pytest.mark.parametrize(
    "fact", ["The crane does not lift fifty tonnes.", "Batteries are not included in the box."]
)
def test_a_negative_fact_is_cited(fact):
    text, annotations = said(fact, fact)
    assert text == f"{fact}【4:0†0.txt】"
    assert annotations
