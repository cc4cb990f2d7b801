"""Query strings become the values that a wire type names."""

import pytest

from freehold.api.app import checked_query
from freehold.api.query import parse
from freehold.core.errors import BadRequestError
from freehold.wire.shared import Query


class Wanted(Query):
    name: str | None = None
    limit: int = 20
    share: float | None = None
    deep: bool | None = None
    group_by: list[str] | None = None
    days: list[int] | None = None
    metadata: dict[str, str] | None = None


def read(text):
    return checked_query("listModels", Wanted, text.encode())


def test_what_is_not_given_has_its_default():
    assert read("").limit == 20
    assert read("").group_by is None


def test_text_becomes_numbers_and_booleans():
    found = read("limit=5&share=0.5&deep=true&name=5")
    assert (found.limit, found.share, found.deep, found.name) == (5, 0.5, True, "5")


@pytest.mark.parametrize("text", ["group_by=a&group_by=b", "group_by[]=a&group_by[]=b"])
def test_arrays_are_written_in_two_ways(text):
    assert read(text).group_by == ["a", "b"]
    assert read("days[]=1&days%5B%5D=2").days == [1, 2]
    assert read("group_by=a").group_by == ["a"]


def test_objects_are_written_with_their_keys():
    assert read("metadata[a]=1&metadata%5Bb%20c%5D=x%3Dy").metadata == {"a": "1", "b c": "x=y"}
    assert read("metadata[a][b]=1").metadata == {"a][b": "1"}


def test_of_a_plain_value_given_twice_the_last_counts():
    assert read("name=a&name=b").name == "b"


def test_unknown_parameters_are_ignored():
    assert parse(b"colour=red&=1&%5B%5D=2&name=x", Wanted) == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "param", "words"),
    [
        ("limit=x", "limit", "expected an integer"),
        ("limit=", "limit", "expected an integer"),
        ("share=x", "share", "expected a decimal"),
        ("deep=x", "deep", "expected a boolean"),
        ("days=x", "days[0]", "expected an integer"),
        ("metadata=x", "metadata", "expected an object"),
        ("name=%00", None, "NUL"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text, param, words):
    with pytest.raises(BadRequestError) as caught:
        read(text)
    assert caught.value.param == param
    assert words in caught.value.message
