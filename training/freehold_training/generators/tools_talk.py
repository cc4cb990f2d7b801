"""Conversations in which tools are given and none is called."""

from collections.abc import Callable, Iterator
from random import Random

from freehold_training.example import Example, Split
from freehold_training.generators.tools_calls import (
    DONE,
    Message,
    assistant,
    dressed,
    example,
    opened,
    scene,
    spoken,
    turns,
    user,
)
from freehold_training.generators.tools_catalogue import (
    Tool,
    asked,
    call,
    catalogue,
    expanded,
    sentence,
)
from freehold_training.generators.tools_values import joined, word_of


def tool_none(random: Random, split: Split) -> Iterator[Example]:
    """Yield requests that need no tool, and some for which none of the tools is made."""
    while True:
        kind = random.choices(_KINDS, _WEIGHTS)[0]
        yield kind(random, split)


def _question(random: Random, split: Split) -> Example:
    said, answer = spoken("question", random, split).split("; ")
    return _plain(dressed(said, random, split), answer, random, split)


def _small_talk(random: Random, split: Split) -> Example:
    said, answer = spoken("small", random, split).split("; ")
    return _plain(said, answer, random, split)


def _near(random: Random, split: Split) -> Example:
    area, said, answer = spoken("near", random, split).split("; ")
    tools = [tool for tool in catalogue(split) if tool.area == area]
    tool = random.choice(tools or list(catalogue(split)))
    return _plain(dressed(said, random, split), answer, random, split, tool)


def _task(random: Random, split: Split) -> Example:
    said, answer = random.choice(_TASKS)(random, split)
    return _plain(dressed(said, random, split), answer, random, split)


def _plain(
    said: str, answer: str, random: Random, split: Split, tool: Tool | None = None
) -> Example:
    tool = tool or random.choice([tool for tool in catalogue(split) if tool.area not in _KNOWING])
    place = scene([tool], random, split)
    place.definitions[:] = [
        shown
        for kept, shown in zip(place.tools, place.definitions, strict=True)
        if kept is tool or kept.area not in _KNOWING
    ]
    messages = [*opened(random, split), user(said), assistant(answer)]
    return example("tool_none", place, messages)


def _unfit(random: Random, split: Split) -> Example:
    wanted = random.choice(catalogue(split))
    others = [
        tool
        for tool in catalogue(split)
        if tool.area != wanted.area and (not tool.group or tool.group != wanted.group)
    ]
    place = scene([random.choice(others)], random, split)
    kept = [index for index, tool in enumerate(place.tools) if tool in others]
    place.definitions[:] = [place.definitions[index] for index in kept]
    messages = [*opened(random, split), *turns(asked(wanted, random, split), random, split)]
    does = wanted.does[0].lower() + wanted.does[1:]
    answer = spoken("unable", random, split).replace("{does}", does)
    return example("tool_none", place, [*messages, assistant(answer)])


def _abilities(random: Random, split: Split) -> Example:
    place = scene([random.choice(catalogue(split))], random, split)
    able = [tool.does[0].lower() + tool.does[1:] for tool in place.tools[:4]]
    said = spoken("abilities", random, split)
    answer = (
        f"I can {joined(able)}."
        if len(place.tools) <= 4
        else f"Among other things, I can {joined(able)}."
    )
    messages = [*opened(random, split), user(said), assistant(answer)]
    return example("tool_none", place, messages)


def _thanked(random: Random, split: Split) -> Example:
    tool = random.choice([tool for tool in catalogue(split) if not tool.returns])
    place = scene([tool], random, split)
    request = asked(tool, random, split)
    made = call(1, tool, request.arguments, place.style)
    said, answer = spoken("thanks", random, split).split("; ")
    done: list[Message] = [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_1", "content": random.choice(DONE)},
        assistant(spoken("done", random, split)),
        user(said),
        assistant(answer),
    ]
    messages = [*opened(random, split), *turns(request, random, split), *done]
    return example("tool_none", place, messages)


def _sum(random: Random, _: Split) -> tuple[str, str]:
    one, two = random.randint(2, 20), random.randint(2, 20)
    said = expanded("(What is|How much is|What's) ", random)
    return random.choice(
        [
            (f"{said}{one} plus {two}?", f"{one} plus {two} is {one + two}."),
            (f"{said}{one + two} minus {two}?", f"{one + two} minus {two} is {one}."),
        ]
    )


def _capitals(random: Random, split: Split) -> tuple[str, str]:
    text = word_of("title", random, split)
    return f'Write "{text}" in capital letters.', text.upper()


def _sorted(random: Random, split: Split) -> tuple[str, str]:
    names: list[str] = []
    while len(names) < 3:
        name = word_of("first", random, split)
        names += [] if name in names else [name]
    return f"Sort these names alphabetically: {', '.join(names)}", ", ".join(sorted(names))


def _repeated(random: Random, split: Split) -> tuple[str, str]:
    text = word_of("message", random, split)
    return expanded("(Repeat|Say) after me: ", random) + f'"{text}"', sentence(text)


_TASKS: list[Callable[[Random, Split], tuple[str, str]]] = [_sum, _capitals, _sorted, _repeated]
_KINDS = [_question, _small_talk, _near, _task, _unfit, _abilities, _thanked]
_WEIGHTS = [30, 14, 14, 10, 20, 4, 8]
# Tools that could be used for a general question, which is then not one that needs none.
_KNOWING = ("search", "language", "finance", "science")
