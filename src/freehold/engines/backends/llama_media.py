"""Pictures on their way into llama.cpp: where they stand in a prompt, how they are handed over."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace

from freehold.core.errors import BadRequestError
from freehold.data import vision
from freehold.engines.backends.llama_wire import Shown
from freehold.engines.base import IMAGE, Chat, Image
from freehold.engines.pictures import DamagedError
from freehold.engines.template import Plain, Prompt
from freehold.engines.viewer import Viewer

_BREAK = "\u200b"  # has no width, and no control token has one inside


def new_marker() -> str:
    """Return a sign for a picture's place that no caller can guess and write."""
    return f"<__media_{secrets.token_hex(12)}__>"


def images_of(prompt: object) -> list[Image]:
    """Return the pictures of a conversation in their order; none of other prompts."""
    if not isinstance(prompt, Chat):
        return []
    return [image for message in prompt.messages for image in message.images]


def marked(chat: Chat, marker: str) -> Chat:
    """Return the conversation with the engine's marker in the place of each picture."""
    return replace(
        chat,
        messages=tuple(
            replace(message, content=message.content.replace(IMAGE, marker))
            if message.images
            else message
            for message in chat.messages
        ),
    )


async def shown(rendered: Prompt, images: Sequence[Image], marker: str, viewer: Viewer) -> Shown:
    """Return the prompt with its pictures. Raises ``BadRequestError``."""
    text = "".join(_broken(p.text) if isinstance(p, Plain) else p for p in rendered)
    if text.count(marker) != len(images):
        raise BadRequestError(
            "The model's chat template leaves pictures out of this conversation.", param="messages"
        )
    if text.endswith(marker):
        text += "\n"  # the library ends itself where nothing follows a picture
    try:
        data = await asyncio.gather(*(_encoded(image, viewer) for image in images))
    except DamagedError:
        raise BadRequestError(
            "The image data you provided does not represent a valid image: it can't be decoded.",
            param="messages",
            code="image_parse_error",
        ) from None
    return Shown(text, tuple(data))


async def _encoded(image: Image, viewer: Viewer) -> str:
    """Return the picture as a PNG of the size that its detail asks for.

    The library decodes inside the engine; so it is given only what our own child has written.
    """
    size = vision.fitted(image.width, image.height, image.detail)
    return b64encode((await viewer.png(image, size)).data).decode()


def _broken(text: str) -> str:
    """Return a control token's name as text that is not one.

    Token ids, which keep it to the letter elsewhere, can't stand beside pictures.
    """
    return text[0] + _BREAK + text[1:] if len(text) > 1 else "\ufffd"
