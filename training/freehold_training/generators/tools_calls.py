"""Conversations in which the assistant calls tools, or asks for what a call still needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from freehold_training.example import Example, Split, part
from freehold_training.generators.tools_catalogue import (
    Asked,
    Style,
    Tool,
    arguments,
    asked,
    call,
    catalogue,
    definition,
    expanded,
    filled,
    sentence,
    slots,
    value_for,
)
from freehold_training.generators.tools_values import Value, bare, different, joined, pool, word_of

Message = dict[str, Any]
SOURCE = "generated"
# What a tool returns that has nothing to tell.
DONE = ('{"status": "ok"}', '{"success": true}', "done", "OK", '{"result": "done"}')
_COUNTS, _WEIGHTS = [1, 2, 3, 4, 5, 6, 8], [36, 28, 18, 9, 5, 2, 2]
_TEMPLATE_TRIES, _TWO = 50, 2


@dataclass(frozen=True)
class Scene:
    """The tools of one conversation: those to be called, and how all are defined."""

    tools: list[Tool]
    style: Style
    definitions: list[Message]


def scene(wanted: list[Tool], random: Random, split: Split, most: int = 8) -> Scene:
    """Put the wanted tools among others, often of the same area, none of which would fit too."""
    wanted_count = max(len(wanted), min(most, random.choices(_COUNTS, _WEIGHTS)[0]))
    tools = list(wanted)
    while len(tools) < wanted_count:
        near = [tool for tool in catalogue(split) if tool.area == wanted[0].area]
        tool = random.choice(near if random.random() < 0.5 else catalogue(split))
        if not any(alike(tool, other) for other in tools):
            tools.append(tool)
        elif len(near) <= len(tools):
            wanted_count -= 1
    random.shuffle(tools)
    style = Style.drawn(random)
    return Scene(tools, style, [definition(tool, style, random) for tool in tools])


def alike(tool: Tool, other: Tool) -> bool:
    """Return whether a request for one tool may be one for the other."""
    return tool.name == other.name or bool(tool.group and tool.group == other.group)


def spoken(name: str, random: Random, split: Split) -> str:
    """Return one of the split's phrases from a list of the talk pool, its choices resolved."""
    return expanded(random.choice(part(pool("tools_talk")[name], split)), random)


def opened(random: Random, split: Split) -> list[Message]:
    """Return how a conversation begins: often with nothing, else a system turn or small talk."""
    messages: list[Message] = []
    if random.random() < 0.5:
        text = spoken("system", random, split)
        words = {slot: word_of(slot, random, split) for slot in slots(text)}
        messages.append({"role": "system", "content": text.format_map(words)})
    if random.random() < 0.12:
        said, answer = spoken("opening", random, split).split("; ")
        messages += [user(said), assistant(answer)]
    return messages


def user(text: str) -> Message:
    """Return a turn of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """Return an answer in words."""
    return {"role": "assistant", "content": text}


def calling(*calls: Message) -> Message:
    """Return an answer that consists of calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def turns(request: Asked, random: Random, split: Split) -> list[Message]:
    """Return the request as messages, with a neutral answer between its turns."""
    *earlier, last = request.turns
    messages: list[Message] = []
    for text in earlier:
        messages += [user(text), assistant(spoken("heard", random, split))]
    return [*messages, user(last if earlier else dressed(last, random, split))]


def dressed(text: str, random: Random, split: Split) -> str:
    """Return the request politely, tersely or with chatter around it."""
    if random.random() < 0.35:
        return text.rstrip(".?") if random.random() < 0.15 else text
    first = text.split(" ", 1)[0].strip(",:")
    imperative = first in pool("tools_verbs")["imperative"] and not text.endswith("?")
    if imperative and random.random() < 0.5:
        text = _politely(text, random, split)
    if random.random() < 0.3:
        text = f"{spoken('before', random, split)} {text}"
    if random.random() < 0.25:
        text = f"{text if text[-1] in '.!?' else text + '.'} {spoken('after', random, split)}"
    return text


def _politely(text: str, random: Random, split: Split) -> str:
    opener = spoken("polite", random, split)
    asking = opener.split()[0] in ("Can", "Could", "Would", "Are") and "?" not in opener
    body = text[0].lower() + text[1:].removesuffix(".")
    return f"{opener} {body}{'?' if asking and not body.endswith('?') else '.'}"


def tool_call(random: Random, split: Split) -> Iterator[Example]:
    """Yield requests for one call, with the arguments as the user said them."""
    while True:
        tool = random.choice(catalogue(split))
        place = scene([tool], random, split)
        request = asked(tool, random, split)
        messages = [*opened(random, split), *turns(request, random, split)]
        messages.append(calling(call(1, tool, request.arguments, place.style)))
        yield example("tool_call", place, messages)


def tool_parallel(random: Random, split: Split) -> Iterator[Example]:
    """Yield requests for two or three calls at once, of one tool or of different ones."""
    while True:
        tools, text, wanted = several_calls(random, split)
        place = scene(list({tool.name: tool for tool in tools}.values()), random, split)
        calls = [
            call(number, tool, told, place.style)
            for number, (tool, told) in enumerate(zip(tools, wanted, strict=True), 1)
        ]
        messages = [*opened(random, split), user(dressed(text, random, split)), calling(*calls)]
        yield example("tool_parallel", place, messages)


def several_calls(random: Random, split: Split) -> tuple[list[Tool], str, list[Message]]:
    """Return two or three tools, a request for them all, and the arguments for each."""
    return _alike_calls(random, split) if random.random() < 0.55 else _mixed(random, split)


def _alike_calls(random: Random, split: Split) -> tuple[list[Tool], str, list[Message]]:
    able = [tool for tool in catalogue(split) if _many(tool)]
    while True:
        tool = random.choice(able)
        slot = _many(tool)
        text = expanded(random.choice(tool.asks), random, keep=0.2)
        if slot not in slots(text) or " // " in text:
            continue
        shared = {name: value_for(tool, name, random, split) for name in slots(text)}
        each = different([value_for(tool, slot, random, split) for _ in range(6)])
        each = each[: random.choice([2, 2, 2, 3])]
        if len(each) < _TWO:
            continue
        both = Value(None, joined([one.said for one in each]))
        if f'"{{{slot}}}"' in text:
            both = Value(None, joined([f'"{one.said}"' for one in each])[1:-1])
        told = [arguments(tool, shared | {slot: one}) for one in each]
        return [tool] * len(each), filled(sentence(text), shared | {slot: both}), told


def _many(tool: Tool) -> str:
    if tool.many:
        return tool.many.removeprefix("-")
    first = next(iter(tool.args), "?")
    kind = tool.args.get(first)
    fits = isinstance(kind, str) and not any(mark in bare(kind) for mark in ":|")
    return first if fits and not first.endswith("?") else ""


def _mixed(random: Random, split: Split) -> tuple[list[Tool], str, list[Message]]:
    tools = random.sample(catalogue(split), random.choice([2, 2, 2, 3]))
    if any(alike(one, two) for one in tools for two in tools if one is not two):
        return _mixed(random, split)
    requests = [_in_one_turn(tool, random, split) for tool in tools]
    texts = [request.turns[0] for request in requests]
    return tools, chained(texts, random, split), [request.arguments for request in requests]


def _in_one_turn(tool: Tool, random: Random, split: Split) -> Asked:
    for _ in range(_TEMPLATE_TRIES):
        request = asked(tool, random, split)
        if len(request.turns) == 1:
            return request
    raise ValueError(f"{tool.name} has no request of one turn")


def chained(texts: list[str], random: Random, split: Split) -> str:
    """Say several requests in one turn, one after the other."""
    text = _ended(texts[0])
    for other in texts[1:]:
        link = spoken("link", random, split)
        text += f" {link} {_lowered(other) if link[-1] not in '.:?' else other}"
        text = _ended(text)
    return text


def _lowered(text: str) -> str:
    first = text.split(" ", 1)[0]
    known = first in pool("tools_verbs")["lowered"] or first in pool("tools_verbs")["imperative"]
    return text[0].lower() + text[1:] if known else text


def _ended(text: str) -> str:
    return text if text[-1] in ".!?" else text + "."


def tool_ask(random: Random, split: Split) -> Iterator[Example]:
    """Yield requests that lack an argument: the assistant asks for it, and calls once told."""
    able = [tool for tool in catalogue(split) if tool.lacks]
    while True:
        tool = random.choice(able)
        place = scene([tool], random, split)
        missing, *texts = random.choice(tool.lacks).split("; ")
        said, question = (expanded(text, random) for text in texts)
        values = {slot: value_for(tool, slot, random, split) for slot in slots(said)}
        request = Asked([filled(sentence(said), values)], values, {})
        messages = [*opened(random, split), *turns(request, random, split), assistant(question)]
        if random.random() < 0.6:
            values[missing] = value_for(tool, missing, random, split)
            messages.append(user(_answered(values[missing], random, split)))
            told = arguments(tool, values)
            messages.append(calling(call(1, tool, told, place.style)))
        yield example("tool_ask", place, messages)


def _answered(value: Value, random: Random, split: Split) -> str:
    return spoken("answer", random, split).format(value=value.said)


def example(row: str, place: Scene, messages: list[Message]) -> Example:
    """Return a conversation with the scene's tools."""
    return {"row": row, "source": SOURCE, "messages": messages, "tools": place.definitions}
