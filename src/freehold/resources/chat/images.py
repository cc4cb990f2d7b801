"""Pictures in messages: from the parts of a request to what an engine sees or is told."""

import asyncio
import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from freehold.api.fetch import Fault, Fetcher, FetchError
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.data.models import ModelRow
from freehold.data.vision import Detail
from freehold.engines.base import IMAGE, Chat, Image, Message
from freehold.engines.pictures import AnimatedError, PictureError, UnknownFormatError, read_head
from freehold.engines.viewer import Viewer
from freehold.wire.chat import (
    ChatCompletionContentPartImageParam,
    ChatCompletionMessageParam,
    ChatCompletionUserMessageParam,
)

_DATA: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_SPACE: Final = str.maketrans("", "", " \t\r\n")
_SHOWN: Final = 200
_FETCH_FAULTS: Final[Mapping[Fault, str]] = {
    "url": "only http and https addresses without a password are fetched.",
    "address": "no public address was found for its host.",
    "redirects": "it redirects too often.",
    "encoding": "it was sent compressed although that was not asked for.",
    "broken": "the connection failed.",
}


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


async def load(found: Sequence[Part], fetcher: Fetcher) -> tuple[Image, ...]:
    """Return the pictures, each fetched once and checked. Raises ``BadRequestError``."""
    loading = _Loading(fetcher)
    firsts: dict[str, Part] = {}
    for part in found:
        firsts.setdefault(part.url, part)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {url: group.create_task(loading.picture(p)) for url, p in firsts.items()}
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return tuple(replace(tasks[part.url].result(), detail=part.detail) for part in found)


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


class _Loading:
    """The pictures of one request, with a cap on all of them together."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._left = limits.figure("vision", "request_bytes")

    async def picture(self, part: Part) -> Image:
        most = limits.figure("vision", "image_bytes")
        if part.url[:5].lower() == "data:":
            data = await asyncio.to_thread(_decoded, part, most)
        else:
            data = await self._fetched(part, most)
        self._left -= len(data)
        if len(data) > most or self._left < 0:
            raise _too_large(part)
        return await asyncio.to_thread(_image, part, data)

    async def _fetched(self, part: Part, most: int) -> bytes:
        try:
            return await self._fetcher.get(part.url, most)
        except FetchError as error:
            raise _not_fetched(part, error) from None


def _decoded(part: Part, most: int) -> bytes:
    """Return what a data URL holds."""
    if not (head := _DATA.match(part.url)):
        raise _not_base64(part)
    if not head[1].lower().startswith("image/"):
        raise BadRequestError(
            f"Invalid '{part.param}'. Expected a base64-encoded data URL with an image MIME type "
            "(e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got unsupported MIME type "
            f"'{head[1][:_SHOWN]}'.",
            param=part.param,
            code="unsupported_image_media_type",
        )
    if "base64" not in head[2].lower().split(";"):
        raise _not_base64(part)
    packed = part.url[head.end() :].translate(_SPACE)
    if len(packed) // 4 * 3 > most + 2:
        raise _too_large(part)
    try:
        return b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise _not_base64(part) from None


def _image(part: Part, data: bytes) -> Image:
    if not data:
        raise BadRequestError("The image is empty.", param=part.param, code="empty_image_file")
    try:
        head = read_head(data)
    except PictureError as error:
        raise _no_picture(part, error) from None
    if head.width * head.height > limits.figure("vision", "pixels"):
        raise _too_large(part)
    return Image(data, head.format, head.width, head.height)


async def _line(part: Part, picture: Image, viewer: Viewer) -> str:
    try:
        return (await viewer.facts(picture)).line()
    except PictureError as error:
        raise _no_picture(part, error) from None


def _with_lines(message: Message, lines: Sequence[str]) -> Message:
    """Put each line in the place of a picture, on a line of its own."""
    content, *rest = message.content.split(IMAGE)
    for line, words in zip(lines, rest, strict=True):
        content += "\n" * bool(content and not content.endswith("\n")) + line
        content += "\n" * bool(words and not words.startswith("\n")) + words
    return replace(message, content=content)


def _not_fetched(part: Part, error: FetchError) -> BadRequestError:
    if error.fault == "too_large":
        return _too_large(part)
    url = part.url if len(part.url) <= _SHOWN else f"{part.url[:_SHOWN]}..."
    if error.fault == "time":
        message = f"Timeout while downloading {url}."
    elif error.fault == "status":
        message = f"Error while downloading {url}. Upstream status code: {error.status}."
    else:
        message = f"Error while downloading {url}: {_FETCH_FAULTS[error.fault]}"
    return BadRequestError(message, param=part.param, code="invalid_image_url")


def _not_base64(part: Part) -> BadRequestError:
    return BadRequestError(
        f"Invalid '{part.param}'. Expected a base64-encoded data URL (e.g. "
        "'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but what follows is not valid base64.",
        param=part.param,
        code="invalid_base64_image",
    )


def _too_large(part: Part) -> BadRequestError:
    megabytes = limits.figure("vision", "image_bytes") >> 20
    megapixels = limits.figure("vision", "pixels") // 1_000_000
    in_all = limits.figure("vision", "request_bytes") >> 20
    return BadRequestError(
        f"The image is too large. Images must be at most {megabytes} MB in size and have at most "
        f"{megapixels} megapixels; all images of a request at most {in_all} MB.",
        param=part.param,
        code="image_too_large",
    )


def _no_picture(part: Part, error: PictureError) -> BadRequestError:
    if isinstance(error, AnimatedError | UnknownFormatError):
        return BadRequestError(
            "You uploaded an unsupported image. Please make sure your image is not animated and "
            "has one of the following formats: ['png', 'jpeg', 'gif', 'webp'].",
            param=part.param,
            code="invalid_image_format",
        )
    return BadRequestError(
        "The image data you provided does not represent a valid image: it is damaged or cut off. "
        "Please check your input and try again.",
        param=part.param,
        code="image_parse_error",
    )
