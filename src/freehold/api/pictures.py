"""Pictures that a request names by URL: fetched once, checked, and refused in OpenAI's words."""

import asyncio
import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from freehold.api.fetch import Fault, Fetcher, FetchError
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.data.vision import Detail
from freehold.engines.base import Image
from freehold.engines.pictures import AnimatedError, PictureError, UnknownFormatError, read_head

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


class Named(Protocol):
    """A picture as a request names it: at which path, by which URL."""

    @property
    def param(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def detail(self) -> Detail: ...


async def load(found: Sequence[Named], fetcher: Fetcher) -> tuple[Image, ...]:
    """Return the pictures, each fetched once and checked. Raises ``BadRequestError``."""
    loading = _Loading(fetcher)
    firsts: dict[str, Named] = {}
    for part in found:
        firsts.setdefault(part.url, part)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {url: group.create_task(loading.picture(p)) for url, p in firsts.items()}
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return tuple(replace(tasks[part.url].result(), detail=part.detail) for part in found)


class _Loading:
    """The pictures of one request, with a cap on all of them together."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._left = limits.figure("vision", "request_bytes")

    async def picture(self, part: Named) -> Image:
        most = limits.figure("vision", "image_bytes")
        if part.url[:5].lower() == "data:":
            data = await asyncio.to_thread(_decoded, part, most)
        else:
            data = await self._fetched(part, most)
        self._left -= len(data)
        if len(data) > most or self._left < 0:
            raise _too_large(part)
        return await asyncio.to_thread(_image, part, data)

    async def _fetched(self, part: Named, most: int) -> bytes:
        try:
            return await self._fetcher.get(part.url, most)
        except FetchError as error:
            raise _not_fetched(part, error) from None


def _decoded(part: Named, most: int) -> bytes:
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


def _image(part: Named, data: bytes) -> Image:
    if not data:
        raise BadRequestError("The image is empty.", param=part.param, code="empty_image_file")
    try:
        head = read_head(data)
    except PictureError as error:
        raise no_picture(part, error) from None
    if head.width * head.height > limits.figure("vision", "pixels"):
        raise _too_large(part)
    return Image(data, head.format, head.width, head.height)


def _not_fetched(part: Named, error: FetchError) -> BadRequestError:
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


def _not_base64(part: Named) -> BadRequestError:
    return BadRequestError(
        f"Invalid '{part.param}'. Expected a base64-encoded data URL (e.g. "
        "'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but what follows is not valid base64.",
        param=part.param,
        code="invalid_base64_image",
    )


def _too_large(part: Named) -> BadRequestError:
    megabytes = limits.figure("vision", "image_bytes") >> 20
    megapixels = limits.figure("vision", "pixels") // 1_000_000
    in_all = limits.figure("vision", "request_bytes") >> 20
    return BadRequestError(
        f"The image is too large. Images must be at most {megabytes} MB in size and have at most "
        f"{megapixels} megapixels; all images of a request at most {in_all} MB.",
        param=part.param,
        code="image_too_large",
    )


def no_picture(part: Named, error: PictureError) -> BadRequestError:
    """Return the refusal of what is no picture that can be taken."""
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
