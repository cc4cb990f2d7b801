"""Whether an answer is right: pure functions from an item and a chat answer to a verdict.

``Item.expect`` holds one or more of these; all must hold:

- ``calls``: a list of ``{"name", "arguments"}``: exactly these calls, in any order. Strings are
  equal after trimming, numbers by value, ``null`` is as good as left out where that is expected.
- ``no_call``: an answer in words, and no call.
- ``json``: the content, read as JSON, equals this.
- ``contains``: each entry, a phrase or a list of phrases of which one is enough, is in the content.
- ``declines``: the content says that the text does not hold the answer, and brings none.
- ``loops``: False; the content does not repeat itself without end.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from freehold_training.example import Item
from freehold_training.judge_text import declines, holds, loops

Message = Mapping[str, Any]
"""An assistant's message as chat completions answer it: ``content`` and ``tool_calls``."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with an answer (nothing: it is right).

    ``right_tools`` says, where calls are expected, whether exactly the right tools are called.
    """

    wrong: str = ""
    right_tools: bool | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return not self.wrong


def judge(item: Item, answer: Message) -> Verdict:
    """Return the verdict about an answer. Raises ``KeyError`` for an unknown expectation."""
    expect = item["expect"]
    wrongs = [_KINDS[kind](wanted, answer, item) for kind, wanted in expect.items()]
    right_tools = _names(expect["calls"]) == _names(_given(answer)) if "calls" in expect else None
    return Verdict("; ".join(wrong for wrong in wrongs if wrong), right_tools)


def equal(wanted: Any, given: Any) -> bool:
    """Return whether two JSON values are the same: numbers by value, strings after trimming."""
    if isinstance(wanted, Mapping) and isinstance(given, Mapping):
        return _equal_objects(cast("Message", wanted), cast("Message", given))
    if isinstance(wanted, list) and isinstance(given, list):
        rows, others = cast("list[Any]", wanted), cast("list[Any]", given)
        return len(rows) == len(others) and all(map(equal, rows, others))
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.strip() == given.strip()
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given
    return wanted == given


def _equal_objects(wanted: Message, given: Message) -> bool:
    told = {key: value for key, value in given.items() if value is not None or key in wanted}
    return wanted.keys() == told.keys() and all(equal(wanted[key], told[key]) for key in wanted)


def _calls(wanted: Sequence[Message], answer: Message, _item: Item) -> str | None:
    left = [{**call, "arguments": _parsed(call["arguments"])} for call in _given(answer)]
    if _names(wanted) != _names(left):
        return f"called {', '.join(_names(left)) or 'nothing'}"
    for call in wanted:
        same = next((one for one in left if _same_call(call, one)), None)
        if same is None:
            return f"{call['name']} with other arguments"
        left.remove(same)
    return None


def _same_call(wanted: Message, given: Message) -> bool:
    return wanted["name"] == given["name"] and equal(wanted["arguments"], given["arguments"])


def _no_call(_wanted: Any, answer: Message, _item: Item) -> str | None:
    if names := _names(_given(answer)):
        return f"called {', '.join(names)}"
    return None if _content(answer).strip() else "said nothing"


def _json(wanted: Any, answer: Message, _item: Item) -> str | None:
    return None if equal(wanted, _parsed(_content(answer))) else "other values"


def _contains(wanted: Sequence[str | Sequence[str]], answer: Message, _item: Item) -> str | None:
    groups = [[entry] if isinstance(entry, str) else entry for entry in wanted]
    content = _content(answer)
    missing = [group[0] for group in groups if not any(holds(content, each) for each in group)]
    return f"lacks {', '.join(missing)}" if missing else None


def _declines(_wanted: Any, answer: Message, item: Item) -> str | None:
    told = "\n".join(str(message.get("content") or "") for message in item["messages"])
    return declines(_content(answer), told)


def _loops(_wanted: Any, answer: Message, _item: Item) -> str | None:
    return loops(_content(answer))


_KINDS: Mapping[str, Callable[[Any, Message, Item], str | None]] = {
    "calls": _calls,
    "no_call": _no_call,
    "json": _json,
    "contains": _contains,
    "declines": _declines,
    "loops": _loops,
}


def _given(answer: Message) -> list[Message]:
    return [call["function"] for call in answer.get("tool_calls") or ()]


def _names(calls: Sequence[Message]) -> list[str]:
    return sorted(call["name"] for call in calls)


def _content(answer: Message) -> str:
    return answer.get("content") or ""


def _parsed(text: str) -> Any:
    """Return the JSON value; text that is none equals nothing that is expected."""
    try:
        return json.loads(text)
    except ValueError:
        return _NO_JSON


_NO_JSON = object()
