"""Renders conversations with the Jinja chat templates that come with open models."""

import datetime as dt
import functools
import json
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from freehold.core.errors import BadRequestError
from freehold.engines.base import Chat, JSONSchema, Message, Tool
from freehold.engines.grammar import CALL_CLOSER, CALL_OPENER

Turn = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plain:
    """Text that must reach the model as ordinary characters although it spells a control token."""

    text: str


Prompt = tuple[str | Plain, ...]


class TemplateFaultError(Exception):
    """The template itself is not usable; the message says why."""


class PromptTemplate:
    """One model's template. ``control_tokens`` are texts that only the template may write.

    Templates that know no tools, no system turn or no two turns of one role in a row get the
    conversation in a form that they can carry.
    """

    def __init__(
        self,
        source: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        control_tokens: Collection[str] = (),
        system_prompt: str | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise TemplateFaultError(f"The chat template can't be read: {error}") from error
        self._knows_tools = "tools" in source and CALL_OPENER in source
        self.adds_bos = True
        self._bos = bos_token
        self._variables = {"enable_thinking": False, **(variables or {})}
        self._variables |= {"bos_token": bos_token, "eos_token": eos_token}
        self._system_prompt = system_prompt
        self._guard = _ControlGuard(control_tokens)

    def render(self, chat: Chat) -> Prompt:
        """Return the prompt that asks the model for the next assistant turn.

        It does not begin with the token that marks a beginning where the tokenizer adds that
        itself (``adds_bos``).
        """
        chat = self._guard.hide(self._with_system_prompt(chat))
        text = self._first_that_renders(chat)
        if self._bos and self.adds_bos:
            text = text.removeprefix(self._bos)
        return self._guard.split(text)

    def _with_system_prompt(self, chat: Chat) -> Chat:
        if self._system_prompt is None or any(m.role == "system" for m in chat.messages):
            return chat
        first = Message("system", self._system_prompt)
        return replace(chat, messages=(first, *chat.messages))

    def _first_that_renders(self, chat: Chat) -> str:
        """Try the conversation as it is, then in plainer and plainer forms."""
        fault: Exception | None = None
        for turns, tools in self._forms(chat):
            try:
                return self._render(turns, tools, chat.json_schema)
            except (jinja2.TemplateError, TypeError, AttributeError) as error:
                fault = fault or error
        raise BadRequestError(
            f"The model's chat template refuses this conversation: {fault}", param="messages"
        )

    def _forms(self, chat: Chat) -> Iterable[tuple[list[Turn], list[Turn] | None]]:
        native = self._knows_tools or not _uses_tools(chat)
        if native:
            tools = [_tool_as_json(tool) for tool in chat.tools] or None
            yield [_turn(message) for message in chat.messages], tools
        told = _tell_tools(chat)
        yield [_turn(message) for message in told], None
        merged = _merge_turns(told)
        yield [_turn(message) for message in merged], None
        yield [_turn(message) for message in _merge_turns(_fold_system(merged))], None

    def _render(
        self, turns: list[Turn], tools: list[Turn] | None, json_schema: JSONSchema | None
    ) -> str:
        return self._template.render(
            messages=turns,
            tools=tools,
            json_schema=json_schema,
            documents=None,
            add_generation_prompt=True,
            **self._variables,
        )


class _ControlGuard:
    """Keeps control tokens out of what callers wrote, without changing a character of it.

    Each occurrence becomes a mark while the template runs; the marks then become ``Plain`` pieces.
    """

    def __init__(self, control_tokens: Collection[str]) -> None:
        words = sorted({word for word in control_tokens if word.strip()}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words))) if words else None
        key = secrets.token_hex(4)
        self._mark = f"\ue000{key}:{{}}\ue001"
        self._marks = re.compile(f"\ue000{key}:([0-9a-f]+)\ue001")

    def hide(self, chat: Chat) -> Chat:
        """Return the conversation with marks in the place of control tokens."""
        if self._pattern is None:
            return chat
        messages = tuple(map(self._hide_in_message, chat.messages))
        tools = tuple(map(self._hide_in_tool, chat.tools))
        schema = self._hide_in_schema(chat.json_schema)
        return replace(chat, messages=messages, tools=tools, json_schema=schema)

    def split(self, text: str) -> Prompt:
        """Return the rendered text in pieces: strings, and ``Plain`` for each mark."""
        parts = self._marks.split(text)
        pieces: list[str | Plain] = []
        for index, part in enumerate(parts):
            if index % 2:
                pieces.append(Plain(bytes.fromhex(part).decode()))
            elif part or len(parts) == 1:
                pieces.append(part)
        return tuple(pieces)

    def _hide_in_message(self, message: Message) -> Message:
        calls = tuple(
            replace(call, arguments=self._hide_text(call.arguments)) for call in message.tool_calls
        )
        return replace(message, content=self._hide_text(message.content), tool_calls=calls)

    def _hide_in_tool(self, tool: Tool) -> Tool:
        description = None if tool.description is None else self._hide_text(tool.description)
        parameters = self._hide_in_schema(tool.parameters)
        return replace(tool, description=description, parameters=parameters)

    def _hide_in_schema(self, schema: JSONSchema | None) -> JSONSchema | None:
        if schema is None:
            return None
        return json.loads(self._hide_text(json.dumps(schema, ensure_ascii=False)))

    def _hide_text(self, text: str) -> str:
        if self._pattern is None or not self._pattern.search(text):
            return text
        return self._pattern.sub(lambda match: self._mark.format(match[0].encode().hex()), text)


def _uses_tools(chat: Chat) -> bool:
    return bool(chat.tools) or any(m.tool_calls or m.role == "tool" for m in chat.messages)


def _turn(message: Message) -> Turn:
    """Return the message as Hugging Face templates expect it."""
    turn: Turn = {"role": message.role, "content": _named(message)}
    if message.name is not None:
        turn["name"] = message.name
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _object_or_text(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return turn


def _named(message: Message) -> str:
    """Return the content; templates drop names, so a speaker's name goes before the words."""
    if message.name and message.role in ("user", "system"):
        return f"{message.name}: {message.content}"
    return message.content


def _object_or_text(arguments: str) -> Any:
    try:
        value: object = json.loads(arguments)
    except ValueError:
        return arguments
    return cast("dict[str, Any]", value) if isinstance(value, dict) else arguments


def _tool_as_json(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _tell_tools(chat: Chat) -> list[Message]:
    """Return the conversation with tools, calls and results told in plain turns."""
    messages = [_plain_turn(message) for message in chat.messages]
    if not chat.tools:
        return messages
    note = _tools_note(chat.tools)
    if messages and messages[0].role == "system":
        joined = f"{messages[0].content}\n\n{note}" if messages[0].content else note
        return [replace(messages[0], content=joined), *messages[1:]]
    return [Message("system", note), *messages]


def _plain_turn(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"<tool_response>\n{message.content}\n</tool_response>")
    if not message.tool_calls:
        return message
    calls = [
        f'{CALL_OPENER}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}'
        f"\n{CALL_CLOSER}"
        for call in message.tool_calls
    ]
    content = "\n".join([message.content, *calls] if message.content else calls)
    return replace(message, content=content, tool_calls=())


def _tools_note(tools: Sequence[Tool]) -> str:
    listed = "\n".join(json.dumps(_tool_as_json(tool), ensure_ascii=False) for tool in tools)
    return (
        f"You can call these tools:\n<tools>\n{listed}\n</tools>\n"
        "To call one, write only a JSON object with its name and arguments, like this:\n"
        f'{CALL_OPENER}\n{{"name": "the tool", "arguments": {{"argument": "value"}}}}\n'
        f"{CALL_CLOSER}\n"
        "If no tool is needed, answer in words."
    )


def _merge_turns(messages: Sequence[Message]) -> list[Message]:
    """Join neighbouring turns of one role."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            content = f"{_named(merged[-1])}\n\n{_named(message)}"
            merged[-1] = Message(message.role, content)
        else:
            merged.append(message)
    return merged


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """Turn what the system says into the user's words; the conversation then begins with a user."""
    folded = [replace(m, role="user") if m.role == "system" else m for m in messages]
    if not folded or folded[0].role != "user":
        folded.insert(0, Message("user", ""))
    return folded


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment: Any = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - templates pass it by either way
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return dt.datetime.now(tz=dt.UTC).astimezone().strftime(pattern)
