import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.storage import documents

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()))
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_any_json_value_comes_back_as_it_was(value: object) -> None:
    assert documents.loads(documents.dumps(value)) == value


def test_keys_keep_their_order() -> None:
    written = {"z": 1, "a": 2, "m": {"y": 1, "b": 2}}

    found = documents.loads(documents.dumps(written))

    assert list(found) == ["z", "a", "m"]
    assert list(found["m"]) == ["y", "b"]


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        documents.dumps({"key": object()})
