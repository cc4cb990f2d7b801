"""Pictures in messages: from the parts of a request to what an engine sees or is told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from freehold.api.pictures import no_picture
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.data.models import ModelRow
from freehold.data.vision import Detail
from freehold.engines.base import IMAGE, Chat, Image, Message
from freehold.engines.pictures import PictureError
from freehold.engines.viewer import Viewer
from freehold.wire.chat import (
    ChatCompletionContentPartImageParam,
    ChatCompletionMessageParam,
    ChatCompletionUserMessageParam,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A picture as a request names it: in which message, at which path, by which URL."""

    message: int
    param: str
    url: str
    detail: Detail


def parts(messages: Sequence[ChatCompletionMessageParam]) -> tuple[Part, ...]:
    """Return the pictures of a conversation in their order."""
    return tuple(
        Part(place, f"messages[{place}].content[{index}].image_url", url.url, url.detail or "auto")
        for place, message in enumerate(messages)
        if isinstance(message, ChatCompletionUserMessageParam) and isinstance(message.content, list)
        for index, part in enumerate(message.content)
        if isinstance(part, ChatCompletionContentPartImageParam)
        for url in [part.image_url]
    )


def check(found: Sequence[Part], row: ModelRow) -> None:
    """Raise ``BadRequestError`` where one of OpenAI's models takes no pictures, or not so many."""
    if found and "image" not in row.input and row.vocabulary is not None:
        raise BadRequestError(
            "Invalid content type. image_url is only supported by certain models.",
            param=f"{found[0].param.removesuffix('.image_url')}.type",
            code="invalid_value",
        )
    most = limits.figure("vision", "images")
    if len(found) > most:
        raise BadRequestError(
            f"Too many images: {len(found)}. A request may hold at most {most} of them.",
            param=found[most].param,
            code="too_many_images",
        )


def blind(part: Part, model: str) -> BadRequestError:
    """Return the refusal of a picture by a server that was told not to describe any."""
    return BadRequestError(
        f"The model `{model}` is served here by an engine without eyes, so it can't take images. "
        f"To bind a model that sees: freehold models add {model} ./model.gguf --mmproj "
        "./mmproj.gguf (or --base-url of a server that sees).",
        param=part.param,
        code="unsupported_content_part",
    )


def seen(chat: Chat, found: Sequence[Part], pictures: Sequence[Image]) -> Chat:
    """Return the conversation with its pictures in their messages."""
    messages = list(chat.messages)
    for place, group in groupby(zip(found, pictures, strict=True), lambda pair: pair[0].message):
        shown = tuple(picture for _, picture in group)
        messages[place] = replace(messages[place], images=shown)
    return replace(chat, messages=tuple(messages))


async def told(
    chat: Chat, found: Sequence[Part], pictures: Sequence[Image], viewer: Viewer
) -> Chat:
    """Return the conversation with a line of true facts in the place of each picture."""
    lines = [await _line(*pair, viewer) for pair in zip(found, pictures, strict=True)]
    messages = list(chat.messages)
    for place, group in groupby(zip(found, lines, strict=True), lambda pair: pair[0].message):
        messages[place] = _with_lines(messages[place], [line for _, line in group])
    return replace(chat, messages=tuple(messages))


def without(chat: Chat, found: Sequence[Part]) -> Chat:
    """Return the conversation as if it had no pictures."""
    places = {part.message for part in found}
    return replace(
        chat,
        messages=tuple(
            replace(m, content=m.content.replace(IMAGE, "")) if place in places else m
            for place, m in enumerate(chat.messages)
        ),
    )


async def _line(part: Part, picture: Image, viewer: Viewer) -> str:
    try:
        return (await viewer.facts(picture)).line()
    except PictureError as error:
        raise no_picture(part, error) from None


def _with_lines(message: Message, lines: Sequence[str]) -> Message:
    """Put each line in the place of a picture, on a line of its own."""
    content, *rest = message.content.split(IMAGE)
    for line, words in zip(lines, rest, strict=True):
        content += "\n" * bool(content and not content.endswith("\n")) + line
        content += "\n" * bool(words and not words.startswith("\n")) + words
    return replace(message, content=content)
