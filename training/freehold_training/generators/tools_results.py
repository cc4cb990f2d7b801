"""Round trips: a request, its call, what the tool returns, and the answer in words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from freehold_training.example import Example, Split
from freehold_training.generators.tools_calls import (
    Message,
    Scene,
    assistant,
    calling,
    chained,
    dressed,
    example,
    opened,
    scene,
    spoken,
    turns,
    user,
)
from freehold_training.generators.tools_catalogue import (
    Asked,
    Tool,
    asked,
    call,
    catalogue,
    expanded,
    filled,
    sentence,
    slots,
)
from freehold_training.generators.tools_values import Value, drawn

# A round trip is long by itself, and every further tool costs training time.
_MOST_TOOLS = 3


@dataclass(frozen=True)
class Trip:
    """A conversation up to its last answer, and what that answer must contain."""

    scene: Scene
    messages: list[Message]
    needed: list[Any]


def tool_result(random: Random, split: Split) -> Iterator[Example]:
    """Yield round trips, some with two calls, a failure, or a question about the result."""
    while True:
        made = trip(random, split)
        yield example("tool_result", made.scene, made.messages)


def trip(random: Random, split: Split) -> Trip:
    """Make one round trip of the split."""
    kinds = [_told, _followed, _failed, _twice, _again]
    kind = random.choices(kinds, [48, 20, 16, 10, 6])[0]
    return kind(random, split)


@dataclass(frozen=True)
class _Run:
    tool: Tool
    request: Asked
    found: dict[str, Value]

    @property
    def known(self) -> dict[str, Value]:
        return self.request.values | self.found


def _run(random: Random, split: Split, of: Tool | None = None) -> _Run:
    tool = of or random.choice([tool for tool in catalogue(split) if tool.returns])
    found = {name: drawn(kind, random, split) for name, kind in tool.returns.items()}
    return _Run(tool, asked(tool, random, split), found)


def _result(run: _Run, number: int, random: Random) -> Message:
    fields = {name: value.json for name, value in run.found.items()}
    if random.random() < 0.35:
        fields = {**run.request.arguments, **fields}
    text = json.dumps(fields, ensure_ascii=False)
    if random.random() < 0.15:
        text = ", ".join(f"{name.replace('_', ' ')}: {run.found[name].said}" for name in run.found)
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": text}


def _called(run: _Run, random: Random, split: Split) -> tuple[Scene, list[Message]]:
    place = scene([run.tool], random, split, _MOST_TOOLS)
    messages = [*opened(random, split), *turns(run.request, random, split)]
    made = call(1, run.tool, run.request.arguments, place.style)
    return place, [*messages, calling(made)]


def _tell(run: _Run, random: Random) -> tuple[str, list[Any]]:
    fitting = [text for text in run.tool.tells if set(slots(text)) <= set(run.known)]
    text = random.choice(fitting)
    said = [run.found[slot].said for slot in slots(text) if slot in run.found]
    return filled(sentence(expanded(text, random)), run.known), said


def _told(random: Random, split: Split) -> Trip:
    run = _run(random, split)
    place, messages = _called(run, random, split)
    text, needed = _tell(run, random)
    return Trip(place, [*messages, _result(run, 1, random), assistant(text)], needed)


def _followed(random: Random, split: Split) -> Trip:
    tool = random.choice([tool for tool in catalogue(split) if tool.further])
    run = _run(random, split, of=tool)
    place, messages = _called(run, random, split)
    text, _ = _tell(run, random)
    fitting = [row for row in tool.further if set(slots(row)) <= set(run.known)]
    question, answer = expanded(random.choice(fitting), random).split("; ")
    said = [run.found[slot].said for slot in slots(answer) if slot in run.found]
    messages += [_result(run, 1, random), assistant(text)]
    messages += [user(filled(sentence(question), run.known))]
    return Trip(place, [*messages, assistant(filled(sentence(answer), run.known))], said)


def _failed(random: Random, split: Split) -> Trip:
    run = _run(random, split)
    place, messages = _called(run, random, split)
    error, answer, sign = spoken("failure", random, split).split("; ")
    text = json.dumps({"error": error}) if random.random() < 0.7 else f"Error: {error}"
    result = {"role": "tool", "tool_call_id": "call_1", "content": text}
    return Trip(place, [*messages, result, assistant(answer)], [sign.split("/")])


def _twice(random: Random, split: Split) -> Trip:
    first = _run(random, split)
    second = _run(random, split, of=first.tool)
    if len(first.request.turns) + len(second.request.turns) > 2 or _same(first, second):
        return _twice(random, split)
    place = scene([first.tool], random, split, _MOST_TOOLS)
    text = chained([first.request.turns[0], second.request.turns[0]], random, split)
    runs = [first, second]
    calls = [
        call(number, run.tool, run.request.arguments, place.style)
        for number, run in enumerate(runs, 1)
    ]
    results = [_result(run, number, random) for number, run in enumerate(runs, 1)]
    told = [_tell(run, random) for run in runs]
    answer = assistant(" ".join(text for text, _ in told))
    asking = [*opened(random, split), user(dressed(text, random, split)), calling(*calls)]
    return Trip(place, [*asking, *results, answer], [value for _, said in told for value in said])


def _same(first: _Run, second: _Run) -> bool:
    return first.request.arguments == second.request.arguments


def _again(random: Random, split: Split) -> Trip:
    first = _run(random, split)
    second = _run(random, split, of=first.tool)
    place, messages = _called(first, random, split)
    text, _ = _tell(first, random)
    messages += [_result(first, 1, random), assistant(text)]
    messages += turns(second.request, random, split)
    messages.append(calling(call(2, second.tool, second.request.arguments, place.style)))
    text, needed = _tell(second, random)
    return Trip(place, [*messages, _result(second, 2, random), assistant(text)], needed)
