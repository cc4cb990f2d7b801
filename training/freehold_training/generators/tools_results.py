"""Round trips: a request, its call, what the tool returns, and the answer in words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from freehold_training.example import Example, Split
from freehold_training.generators.tools_calls import (
    DONE,
    Message,
    Scene,
    alike,
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
from freehold_training.generators.tools_values import Value, drawn, pool

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
    """Make one round trip of the split; only in training are fields asked for by their names."""
    kinds = [_told, _followed, _failed, _twice, _again, _asked_for, _asked_after]
    fields = (16, 24) if split == "train" else (0, 0)
    kind = random.choices(kinds, [36, 14, 14, 10, 6, *fields])[0]
    return kind(random, split)


def tool_rounds(random: Random, split: Split) -> Iterator[Example]:
    """Yield conversations with a request after the other, each for one of the same few tools."""
    while True:
        tools = _unlike(random, split)
        place = scene(tools, random, split, len(tools) + 1)
        messages = opened(random, split)
        for number in range(1, random.choice([3, 3, 4, 5]) + 1):
            messages += _round(random.choice(tools), number, place, random, split)
        yield example("tool_rounds", place, messages)


def _unlike(random: Random, split: Split) -> list[Tool]:
    """Return two to four tools of which no two serve the same, often of one area."""
    first = random.choice(catalogue(split))
    near = [tool for tool in catalogue(split) if tool.area == first.area]
    among = near if random.random() < 0.5 else catalogue(split)
    tools = [first]
    for tool in random.sample(among, min(len(among), random.choice([2, 3, 3, 4]))):
        if not any(alike(tool, other) for other in tools):
            tools.append(tool)
    return tools


def _round(tool: Tool, number: int, place: Scene, random: Random, split: Split) -> list[Message]:
    run = _run(random, split, of=tool)
    made = call(number, tool, run.request.arguments, place.style)
    asking = [*turns(run.request, random, split), calling(made)]
    if not tool.returns:
        done = {"role": "tool", "tool_call_id": f"call_{number}", "content": random.choice(DONE)}
        return [*asking, done, assistant(spoken("done", random, split))]
    text, _ = _tell(run, random)
    return [*asking, _result(run, number, random), assistant(text)]


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
    if random.random() < 0.15:
        fields = {**fields, **_extra(random)}
    text = json.dumps(fields, ensure_ascii=False)
    if random.random() < 0.15:
        text = ", ".join(f"{name.replace('_', ' ')}: {run.found[name].said}" for name in run.found)
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": text}


def _extra(random: Random) -> dict[str, Any]:
    """Return fields that results often have and nobody asks for."""
    kept = {
        "ok": True,
        "version": random.randint(1, 9),
        "took_ms": random.randint(2, 900),
        "request_id": f"req-{random.randint(10000, 99999)}",
        "cached": False,
    }
    return {name: kept[name] for name in random.sample(sorted(kept), random.randint(1, 2))}


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
    if split == "train" and random.random() < 0.5:
        text, needed = _with_the_rest(run, text, needed, random)
    return Trip(place, [*messages, _result(run, 1, random), assistant(text)], needed)


def _with_the_rest(
    run: _Run, text: str, needed: list[Any], random: Random
) -> tuple[str, list[Any]]:
    """Return the answer with the other fields of the result after it, and all its values."""
    others = [
        name
        for name in _known(run)
        if run.found[name].said not in text and name not in ("status", "state")
    ]
    if not others or text[-1] not in ".!?":
        return text, needed
    _, rest, said = _question(run, others[:2], "ask", random)
    return (f"{text} {rest}", [*needed, *said]) if rest.endswith(".") else (text, needed)


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
    answer = assistant(" ".join(_apart(runs, [text for text, _ in told])))
    asking = [*opened(random, split), user(dressed(text, random, split)), calling(*calls)]
    return Trip(place, [*asking, *results, answer], [value for _, said in told for value in said])


def _apart(runs: list[_Run], texts: list[str]) -> list[str]:
    """Return the answers, each with what it is about where they do not say so themselves."""
    for slot, value in runs[0].request.values.items():
        said = [value.said, runs[1].request.values[slot].said] if _has(runs[1], slot) else []
        if len(set(said)) > 1 and isinstance(value.json, str):
            named = all(name in text for name, text in zip(said, texts, strict=True))
            return texts if named else [f"{n}: {t}" for n, t in zip(said, texts, strict=True)]
    return texts


def _has(run: _Run, slot: str) -> bool:
    return slot in run.request.values


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


def _known(run: _Run) -> list[str]:
    """Return the fields of the result that have a name in words, in any order but the names'."""
    names = pool("tools_fields")["field"]
    return [name for name in run.found if name in names]


def _named(name: str) -> tuple[str, str]:
    """Return what a field is called, and the answer to a question for it."""
    called, _, answer = pool("tools_fields")["field"][name].partition("; ")
    return called, answer or f"{sentence(called)} is {{v}}."


def _question(run: _Run, names: list[str], kind: str, random: Random) -> tuple[str, str, list[Any]]:
    """Return a question for one field or two, its answer, and the values in it."""
    called = [_named(name)[0] for name in names]
    said = [run.found[name].said for name in names]
    answers = [
        _named(name)[1].replace("{v}", value) for name, value in zip(names, said, strict=True)
    ]
    template = random.choice(pool("tools_fields")[kind if len(names) == 1 else f"{kind}_two"])
    question = template.replace("{It}", sentence(called[0])).replace("{it}", called[0])
    question = question.replace("{other}", called[-1])
    if len(names) == 1 and random.random() < 0.15:
        return question, _ended(said[0]), said
    return question, " ".join(answers), said


def _ended(text: str) -> str:
    return text if " " not in text or text.endswith((".", "!", "?")) else f"{text}."


def _with_fields(fewest: int, random: Random, split: Split) -> _Run:
    able = [tool for tool in catalogue(split) if len(tool.returns) >= fewest]
    while True:
        run = _run(random, split, of=random.choice(able))
        if len(_known(run)) >= fewest:
            return run


def _asked_for(random: Random, split: Split) -> Trip:
    """Return a trip whose request says which of the result's fields it is for."""
    run = _with_fields(2, random, split)
    place, messages = _called(run, random, split)
    names = random.sample(_known(run), random.choice([1, 1, 2]))
    wanted, answer, said = _question(run, names, "only", random)
    asked_last = messages[-2]["content"]
    ended = asked_last if asked_last[-1] in ".!?" else f"{asked_last}."
    messages[-2] = user(f"{ended} {wanted}")
    return Trip(place, [*messages, _result(run, 1, random), assistant(answer)], said)


def _asked_after(random: Random, split: Split) -> Trip:
    """Return a trip with further questions on the same result, for every field once at most."""
    run = _with_fields(2, random, split)
    place, messages = _called(run, random, split)
    text, said = _tell(run, random)
    messages += [_result(run, 1, random), assistant(text)]
    left = random.sample(_known(run), len(_known(run)))
    while left:
        count = 2 if random.random() < 0.25 else 1
        asked_now, left = left[:count], left[count:]
        question, answer, said = _question(run, asked_now, "ask", random)
        messages += [user(question), assistant(answer)]
    return Trip(place, messages, said)
