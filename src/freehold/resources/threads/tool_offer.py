"""The tools that a run offers to its model: all of them are functions to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from freehold.wire.chat import ChatCompletionToolParam

Kind = Literal["function", "file_search", "code_interpreter"]

_SEARCH = {
    "description": "Search the files of this conversation for passages. Use it before you answer a "
    "question that they may answer.",
    "parameters": {
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What to look for: each query a few words or a question.",
            }
        },
        "required": ["queries"],
    },
}
_CODE = {
    "description": "Run Python code in a session that keeps its variables. Files lie in /mnt/data; "
    "save there what the user shall get. There is no network. You see what the code prints.",
    "parameters": {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "Python code to run."}},
        "required": ["code"],
    },
}
_BUILT_IN: Mapping[str, Mapping[str, Any]] = {"file_search": _SEARCH, "code_interpreter": _CODE}


@dataclass(frozen=True, slots=True)
class Offer:
    """The run's tools as functions, and which of them this server runs, by name."""

    tools: tuple[ChatCompletionToolParam, ...]
    built_in: Mapping[str, Kind]

    def kind(self, name: str) -> Kind:
        return self.built_in.get(name, "function")

    def name(self, kind: str) -> str:
        """Return the name under which a tool of ours is offered."""
        return next(name for name, known in self.built_in.items() if known == kind)

    def has(self, kind: str) -> bool:
        return kind in self.built_in.values()


def offer(tools: Sequence[Mapping[str, Any]]) -> Offer:
    """Return what to offer; a caller's function that has one of our names keeps it."""
    taken = {tool["function"]["name"] for tool in tools if tool["type"] == "function"}
    offered: list[ChatCompletionToolParam] = []
    built_in: dict[str, Kind] = {}
    for tool in tools:
        function = tool.get("function")
        if tool["type"] != "function":
            name = tool["type"]
            while name in taken:
                name = f"{name}_tool"
            built_in[name] = tool["type"]
            function = {"name": name, **_BUILT_IN[tool["type"]]}
        offered.append(
            ChatCompletionToolParam.model_validate({"type": "function", "function": function})
        )
    return Offer(tuple(offered), built_in)


def begun(kind: Kind, call_id: str, name: str) -> dict[str, Any]:
    """Return a call that the model has begun to make, as the API shows it."""
    empty: dict[Kind, Any] = {
        "function": {"name": name, "arguments": "", "output": None},
        "file_search": {},
        "code_interpreter": {"input": "", "outputs": []},
    }
    return {"id": call_id, "type": kind, kind: empty[kind]}


def made(kind: Kind, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a call that the model has made in full, as the API shows it."""
    shown = begun(kind, call_id, name)
    if kind == "function":
        shown["function"]["arguments"] = arguments
    elif kind == "code_interpreter":
        shown["code_interpreter"]["input"] = code_of(arguments) or ""
    return shown


def code_of(arguments: str) -> str | None:
    """Return the code that a call of the code interpreter holds; None where there is none."""
    given = _fields(arguments).get("code")
    return given if isinstance(given, str) else None


def queries_of(arguments: str) -> list[str]:
    """Return what a call of the file search looks for; nothing where it does not say."""
    fields = _fields(arguments)
    given = fields.get("queries", fields.get("query"))
    queries = cast("list[Any]", given) if isinstance(given, list) else [given]
    return [query for query in queries if isinstance(query, str) and query.strip()]


def _fields(arguments: str) -> dict[str, Any]:
    try:
        given = json.loads(arguments)
    except ValueError:
        return {}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}
