"""Constraints for local models: the text a sampler may produce, as an llguidance grammar.

A call is a JSON object with ``name`` and ``arguments`` on a line between ``<tool_call>`` and
``</tool_call>``. A grammar that an engine can't compile is silently dropped by it, so each one is
compiled here first.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import llguidance

from freehold.core.errors import BadRequestError
from freehold.engines.base import Chat, Generation, JSONSchema, Tool
from freehold.engines.bounds import Bounds

CALL_OPENER = "<tool_call>"
CALL_CLOSER = "</tool_call>"

_HEADER = "%llguidance {}\n"
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# What a tool's loose schema asks for and the compiler lacks is left to the caller's own check.
_LOOSE = _COMPACT | {"lenient": True, "coerce_one_of": True}
# Weak models, once calling, tend to go on for ever: a forced call is one call, and of its own will
# a model makes at most this many in a turn.
_MOST_CALLS = 16
_NO_BOUNDS = Bounds()
_ANY_OBJECT: JSONSchema = {"type": "object"}
_NO_ARGUMENTS: JSONSchema = {"type": "object", "properties": {}, "additionalProperties": False}
_TEXT_RULE = r"TEXT: /(.|\n)*/ & ~/(.|\n)*<tool_call>(.|\n)*/"
# The opener ends the free text at its first occurrence.
_OPENING_RULES = 'opening[lazy]: ANYTHING "<tool_call>"\nANYTHING: /(.|\\n)*/'


def constraint(request: Generation, bounds: Bounds = _NO_BOUNDS) -> str | None:
    """Return the grammar that the answer must follow, None where any text will do.

    ``bounds`` hold wherever the schemas can be kept within them. Raises ``BadRequestError`` for a
    schema that must be enforced and can't be.
    """
    chat = request.prompt if isinstance(request.prompt, Chat) else None
    answer = None if request.schema is None else _answer_rule(request.schema, bounds)
    if chat is not None and chat.tools:
        return _HEADER + _with_tools(chat, answer, bounds)
    if answer is not None:
        return f"{_HEADER}start: answer\n{answer}\n"
    if chat is not None and _speaks_of_calls(chat):
        return f"{_HEADER}start: TEXT\n{_TEXT_RULE}\n"
    return None


def ending(grammar: str, token: int | None) -> str:
    """Return the grammar for an engine whose model may end its answer with this token.

    llama.cpp lets a grammar end with one token alone, and where a vocabulary has several that may
    end a turn it picks one that the model perhaps never writes: then nothing ever ends by itself.
    """
    if token is None:
        return grammar
    head, start, rules = grammar.split("\n", 2)
    return f"{head}\nstart: ({start.removeprefix('start: ')}) <[{token}]>?\n{rules}"


class GrammarWatch:
    """Compares an answer with its grammar as it comes: an engine may drop what it can't compile."""

    def __init__(self, grammar: str) -> None:
        self._matcher = _matcher(grammar).deep_copy()

    def follows(self, text: str) -> bool:
        """Tell whether the answer, with this text added, still keeps to the grammar."""
        letters = list(text.encode())
        return self._matcher.try_consume_tokens(letters) == len(letters)

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""
        return self._matcher.is_accepting()


def check_schema(schema: JSONSchema) -> str | None:
    """Return why this JSON schema can't be enforced exactly, None when it can."""
    return _fault_of_schema(_dump(_with_options(schema, _COMPACT)))


def _speaks_of_calls(chat: Chat) -> bool:
    """Tell whether old turns would tempt the model to write a call that nobody asked for."""
    return any(message.tool_calls or message.role == "tool" for message in chat.messages)


def _answer_rule(schema: JSONSchema, bounds: Bounds) -> str:
    if (text := _enforceable(schema, bounds)) is None:
        raise BadRequestError(
            f"Invalid schema for response_format: {check_schema(schema)}",
            param="response_format",
            code="invalid_json_schema",
        )
    return f"answer: %json {text}"


def _with_tools(chat: Chat, answer: str | None, bounds: Bounds) -> str:
    tools = [tool for tool in chat.tools if chat.tool_choice in ("auto", "required", tool.name)]
    forced = chat.tool_choice != "auto"
    alone = forced or not chat.parallel_tool_calls
    more = "" if alone else f' ("\\n{CALL_OPENER}" call){{0,{_MOST_CALLS - 1}}}'
    calls = f'calls: "{CALL_OPENER}" call{more}'
    rules = [*_call_rules(tools, bounds)]
    if forced:
        rules = ["start: calls", calls, *rules]
    elif answer is not None:
        rules = ["start: answer | calls", answer, calls, *rules]
    else:
        rules = [f"start: TEXT | opening call{more}", _TEXT_RULE, _OPENING_RULES, *rules]
    return "\n".join(rules) + "\n"


def _call_rules(tools: Sequence[Tool], bounds: Bounds) -> list[str]:
    """Return rules for what follows the opener: one alternative per tool."""
    names = " | ".join(f"call_{index}" for index in range(len(tools)))
    rules = [f'call: "\\n" ({names}) "\\n{CALL_CLOSER}"']
    for index, tool in enumerate(tools):
        head = json.dumps(f'{{"name": {json.dumps(tool.name)}, "arguments": ')
        rules.append(f'call_{index}: {head} arguments_{index} "}}"')
        rules.append(f"arguments_{index}: %json {_arguments_schema(tool, bounds)}")
    return rules


def _arguments_schema(tool: Tool, bounds: Bounds) -> str:
    """Return the JSON text of the strictest schema for this tool that can be enforced."""
    schema = _close(tool.parameters) if tool.parameters else _NO_ARGUMENTS
    exact = _enforceable(schema, bounds)
    if exact is None and tool.strict:
        raise BadRequestError(
            f"Invalid schema for function '{tool.name}': {check_schema(schema)}",
            param="tools",
            code="invalid_function_parameters",
        )
    text = exact or _enforceable(schema, bounds, _LOOSE, warnings=False)
    return text or _dump(_with_options(_ANY_OBJECT, _COMPACT))


def _enforceable(
    schema: JSONSchema,
    bounds: Bounds,
    options: Mapping[str, Any] = _COMPACT,
    *,
    warnings: bool = True,
) -> str | None:
    """Return the schema's JSON text, within the bounds where it can be; None if it can't be kept.

    ``warnings``: parts of it that the compiler leaves out count as faults too.
    """
    for each in (bounds.apply(schema), schema) if bounds else (schema,):
        text = _dump(_with_options(each, options))
        if _fault_of_schema(text, warnings=warnings) is None:
            return text
    return None


def _close(schema: JSONSchema) -> JSONSchema:
    """Return the schema as an object that has no properties but those it lists."""
    closed: dict[str, Any] = {"type": "object", **schema}
    composed = any(key in closed for key in ("allOf", "anyOf", "oneOf", "$ref"))
    if "properties" in closed and not composed and "patternProperties" not in closed:
        closed.setdefault("additionalProperties", False)
    if isinstance(closed.get("properties"), dict):
        closed["properties"] = {k: _close_nested(v) for k, v in closed["properties"].items()}
    return closed


def _close_nested(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    nested: dict[str, Any] = dict(schema)  # pyright: ignore[reportUnknownArgumentType] - JSON
    if nested.get("type") == "object":
        return _close(nested)
    if isinstance(nested.get("items"), dict):
        nested["items"] = _close_nested(nested["items"])
    return nested


def _with_options(schema: JSONSchema, options: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "x-guidance": dict(options)}


def _dump(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


@functools.cache
def _byte_tokenizer() -> llguidance.LLTokenizer:
    return llguidance.LLTokenizer("byte")


@functools.lru_cache(maxsize=128)
def _matcher(grammar: str) -> llguidance.LLMatcher:
    return llguidance.LLMatcher(_byte_tokenizer(), grammar, log_level=0)


@functools.lru_cache(maxsize=512)
def _fault_of_schema(schema: str, *, warnings: bool = True) -> str | None:
    """Compile one schema; a warning means that a part of it would not be enforced."""
    failed, messages = llguidance.LLMatcher.validate_grammar_with_warnings(
        f"{_HEADER}start: %json {schema}", _byte_tokenizer()
    )
    if failed or (warnings and messages):
        return _plain_reason(messages)
    return None


def _plain_reason(messages: Sequence[str]) -> str:
    """Strip the compiler's message of its place in our own grammar text."""
    first = messages[0] if messages else "it can't be compiled."
    reason = first.split("\n   1 |")[0].split("failed to compile JSON schema: ")[-1]
    return " ".join(reason.split())
