"""The very text that the server shows the model for a conversation, and which of it is learnt."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox

from freehold_training.example import Example

# As in the catalogue; a test compares both, and the rendering itself.
SYSTEM_PROMPT = "You are a helpful assistant. Answer briefly and correctly."
_OPENER, _CLOSER = "<|im_start|>assistant\n", "<|im_end|>\n"


class Renderer:
    """Renders with a Jinja chat template, as the server does."""

    def __init__(self, template: Path) -> None:
        environment: Any = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["tojson"] = _to_json
        self._template = environment.from_string(template.read_text("utf-8"))

    def pieces(self, example: Example) -> list[tuple[str, bool]]:
        """Return the text in pieces; those marked True are what the model has to write."""
        text = self.text(example["messages"], example.get("tools"), example.get("response_format"))
        pieces: list[tuple[str, bool]] = []
        first, *answers = text.split(_OPENER)
        given = first + _OPENER
        for answer in answers:
            said, rest = answer.split(_CLOSER, 1)
            pieces += [(given, False), (said + _CLOSER.rstrip("\n"), True)]
            given = "\n" + rest + _OPENER
        return pieces

    def text(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the conversation as text, without the opening of a further answer."""
        told = list(messages)
        if not any(message["role"] in ("system", "developer") for message in told):
            told.insert(0, {"role": "system", "content": SYSTEM_PROMPT})
        return self._template.render(
            messages=[_turn(message) for message in told],
            tools=[_tool(tool) for tool in tools] if tools else None,
            json_schema=_schema(response_format),
            add_generation_prompt=False,
        )


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = [
        {
            **call,
            "function": {
                **call["function"],
                "arguments": json.loads(call["function"]["arguments"]),
            },
        }
        for call in message.get("tool_calls") or ()
    ]
    return {**message, "content": message.get("content") or "", "tool_calls": calls}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    shown = {"name": function["name"]}
    if function.get("description"):
        shown["description"] = function["description"]
    shown["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": shown}


def _schema(response_format: Mapping[str, Any] | None) -> Any:
    if not response_format or response_format["type"] != "json_schema":
        return None
    return response_format["json_schema"]["schema"]
