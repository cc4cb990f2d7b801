"""Deltas of messages and steps: put together, and found as what is still to be told.

A list in a delta has its place in each piece, as ``index``, where more than one piece may make an
item of it. What is kept has no such places: ``of_message`` and ``of_step`` give it them.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

Delta = dict[str, Any]
_SET: Final = ("index", "type")  # the same in all pieces; other words are pieces of text
_PLACED: Final = ("content", "annotations", "tool_calls", "outputs")


class NotItsBeginningError(Exception):
    """What was told is not how the object begins."""


def of_message(content: list[dict[str, Any]]) -> Delta:
    """Return the parts of a message as one delta."""
    return cast("Delta", _placed({"content": content}))


def of_step(details: Mapping[str, Any]) -> Delta:
    """Return the details of a step as one delta; without outputs that came from a client."""
    return {"step_details": _placed(details)} if details.get("tool_calls") else {}


def join(told: Delta, delta: Mapping[str, Any]) -> None:
    """Add a delta to those that were told before."""
    for name, value in delta.items():
        before = told.get(name)
        if before is None or name in _SET:
            told[name] = _copied(value)
        elif isinstance(value, str):
            told[name] = before + value
        elif isinstance(value, dict):
            join(before, cast("Delta", value))
        elif name in _PLACED:
            _join_items(before, value)
        elif value is not None:
            told[name] = value


def rest(told: Delta, whole: Delta) -> Delta:
    """Return what of the whole has not been told. Raises where it does not begin so."""
    left: Delta = {}
    for name, value in whole.items():
        missing = value if told.get(name) is None else _rest_of(name, told[name], value)
        if missing or name not in told:
            left[name] = missing
    if left:
        left |= {name: whole[name] for name in _SET if name in whole}
    return left


def _join_items(before: list[Delta], items: list[Delta]) -> None:
    by_place = {item["index"]: item for item in before}
    for item in items:
        if item["index"] in by_place:
            join(by_place[item["index"]], item)
        else:
            before.append(_copied(item))


def _rest_of(name: str, told: Any, value: Any) -> Any:
    if name in _PLACED:
        return _rest_of_items(told, value)
    if isinstance(value, dict) and isinstance(told, dict):
        return rest(cast("Delta", told), cast("Delta", value))
    if isinstance(value, str) and isinstance(told, str) and value.startswith(told):
        return value[len(told) :]
    if value != told:
        raise NotItsBeginningError(name)
    return None


def _rest_of_items(told: list[Delta], whole: list[Delta]) -> list[Delta]:
    by_place = {item["index"]: item for item in told}
    if len(by_place) > len(whole):
        raise NotItsBeginningError
    left = [rest(by_place.get(item["index"], {}), item) for item in whole]
    return [item for item in left if item]


def _placed(value: object, name: str = "") -> Any:
    """Return a copy in which the items of the lists that are built piece by piece say where."""
    if name in _PLACED:
        items = cast("list[Delta]", value)
        return [{"index": place, **_placed(one)} for place, one in enumerate(items)]
    if isinstance(value, dict):
        return {key: _placed(one, key) for key, one in cast("Delta", value).items()}
    return value


def _copied(value: object) -> Any:
    """Return a copy of what later deltas are added to."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in cast("Delta", value).items()}
    if isinstance(value, list):
        return [_copied(one) for one in cast("list[Any]", value)]
    return value
