"""Moderations: what ``/moderations`` takes and answers."""

from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Tag

from freehold.wire.shared import Answer, Params, by_field

_EXPECTED = "a string, an array of strings, or an array of objects"


class ModerationTextInput(Params):
    type: Literal["text"]
    text: str


class ImageURL(Params):
    url: str


class ModerationImageURLInput(Params):
    type: Literal["image_url"]
    image_url: ImageURL


ModerationMultiModalInput = Annotated[
    Annotated[ModerationTextInput, Tag("<text>")]
    | Annotated[ModerationImageURLInput, Tag("<image_url>")],
    by_field("type", "text", "image_url"),
]


def _branch(value: Any) -> str:
    """Choose by the first item, so that a wrong one later is told by its place."""
    if isinstance(value, str):
        return "<string>"
    if not isinstance(value, list):
        return "<other>"
    items = cast("list[Any]", value)
    return "<parts>" if items and not isinstance(items[0], str) else "<strings>"


Input = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[list[str], Tag("<strings>")]
    | Annotated[list[ModerationMultiModalInput], Tag("<parts>")],
    Discriminator(_branch, custom_error_type="wrong_kind", custom_error_message=_EXPECTED),
]


class ModerationCreateParams(Params):
    input: Input
    model: str | None = None


class Moderation(Answer):
    """One result. Categories are named as the API names them; the text models know fewer."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]] | None = None


class ModerationCreateResponse(Answer):
    id: str
    model: str
    results: list[Moderation]
