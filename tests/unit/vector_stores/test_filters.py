"""Filters on attributes: every comparison, both ways to combine them."""

import pytest
from pydantic import TypeAdapter

from freehold.core.errors import BadRequestError
from freehold.resources.vector_stores import filters
from freehold.wire.vector_stores import Filter

FILE = {"region": "eu", "year": 2024, "draft": False, "share": 0.5}


def made(**fields):
    return TypeAdapter(Filter).validate_python(fields)


def passes(kind, key, value):
    given = made(type=kind, key=key, value=value)
    filters.check(given)
    return filters.matches(given, FILE)


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("eq", "region", "eu", True),
        ("eq", "region", "us", False),
        ("eq", "year", 2024.0, True),
        ("eq", "draft", False, True),
        ("eq", "draft", 0, False),  # a boolean is no number
        ("eq", "missing", "eu", False),
        ("ne", "region", "us", True),
        ("ne", "region", "eu", False),
        ("ne", "missing", "eu", True),
        ("gt", "year", 2023, True),
        ("gt", "year", 2024, False),
        ("gte", "year", 2024, True),
        ("lt", "share", 0.6, True),
        ("lt", "region", "fr", True),
        ("lte", "share", 0.5, True),
        ("gt", "region", 5, False),
        ("gt", "missing", 5, False),
        ("in", "region", ["us", "eu"], True),
        ("in", "year", [2023, 2025], False),
        ("in", "missing", ["eu"], False),
        ("nin", "region", ["us"], True),
        ("nin", "region", ["eu"], False),
        ("nin", "missing", ["eu"], True),
    ],
)
def test_comparison(kind, key, value, expected):
    assert passes(kind, key, value) is expected


def test_compound_filters_combine_others_to_any_depth():
    eu = {"type": "eq", "key": "region", "value": "eu"}
    old = {"type": "lt", "key": "year", "value": 2000}
    both = {"type": "and", "filters": [eu, old]}
    assert not filters.matches(made(**both), FILE)
    assert filters.matches(made(type="or", filters=[both, eu]), FILE)
    assert filters.matches(made(type="and", filters=[]), FILE)
    assert not filters.matches(made(type="or", filters=[]), FILE)


@pytest.mark.parametrize(
    ("kind", "value"), [("eq", ["a"]), ("in", "a"), ("nin", 5), ("gt", True), ("lte", False)]
)
def test_comparison_with_the_wrong_kind_of_value_is_refused(kind, value):
    with pytest.raises(BadRequestError, match="Invalid filter on 'region'"):
        filters.check(made(type=kind, key="region", value=value))


@pytest.mark.parametrize(
    "one", [{"type": "eq", "key": "region", "value": "eu"}, {"type": "and", "filters": []}]
)
def test_filter_beyond_all_measure_is_refused(one):
    with pytest.raises(BadRequestError, match="too many comparisons"):
        filters.check(made(type="or", filters=[one] * 129))
