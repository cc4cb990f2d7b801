"""The three forms of ``input`` as what is looked at: texts, and pictures beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from freehold.api.fetch import Fetcher
from freehold.api.pictures import load, no_picture
from freehold.core.errors import BadRequestError, ServiceUnavailableError
from freehold.data.vision import Detail
from freehold.engines.base import EngineLoadError, Image
from freehold.engines.pictures import PictureError
from freehold.engines.viewer import Facts, Viewer
from freehold.wire.moderations import (
    ModerationCreateParams,
    ModerationMultiModalInput,
    ModerationTextInput,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A picture as a request names it: at which path, by which URL."""

    param: str
    url: str
    detail: Detail = "auto"


@dataclass(frozen=True, slots=True)
class Item:
    """What gets one result: texts that are looked at each for itself, and pictures."""

    texts: tuple[str, ...]
    parts: tuple[Part, ...] = ()


def read(body: ModerationCreateParams) -> list[Item]:
    """Return what is looked at: parts together are one item, strings are one each."""
    if isinstance(body.input, str):
        return [Item((body.input,))]
    if body.input and not isinstance(body.input[0], str):
        return [_item(cast("list[ModerationMultiModalInput]", body.input))]
    return [Item((text,)) for text in cast("list[str]", body.input)]


def _item(given: Sequence[ModerationMultiModalInput]) -> Item:
    """Return one item of all parts; its texts are read as one, since they belong together."""
    said = [part.text for part in given if isinstance(part, ModerationTextInput)]
    parts = tuple(
        Part(f"input[{place}].image_url", part.image_url.url)
        for place, part in enumerate(given)
        if not isinstance(part, ModerationTextInput)
    )
    return Item(("\n".join(said),) if said else (), parts)


async def look(parts: Sequence[Part], fetcher: Fetcher, viewer: Viewer) -> list[Facts]:
    """Return what can be said of each picture, its score always.

    Raises ``BadRequestError`` for what is no picture, and ``ServiceUnavailableError`` where the
    weights that score pictures are not here.
    """
    if not parts:
        return []
    try:
        await viewer.require_scores()
    except EngineLoadError as error:
        raise ServiceUnavailableError(
            f"Images can't be moderated by this server yet. {error}",
            code="model_not_loaded",
            retryable=False,
        ) from None
    pictures = await load(parts, fetcher)
    return [await _facts(*pair, viewer) for pair in zip(parts, pictures, strict=True)]


async def _facts(part: Part, picture: Image, viewer: Viewer) -> Facts:
    try:
        facts = await viewer.facts(picture)
    except PictureError as error:
        raise no_picture(part, error) from None
    if facts.sexual is None:
        raise BadRequestError(
            "The image takes too much time or memory to decode. Send a smaller one.",
            param=part.param,
            code="image_parse_error",
        )
    return facts
