"""Messages of threads: what the operations on them take and answer."""

from typing import Annotated, Literal

from pydantic import Tag

from freehold.wire.assistants import CodeInterpreterToolParam, CursorQuery
from freehold.wire.shared import Answer, Id, Params, by_field, by_kind

Status = Literal["in_progress", "incomplete", "completed"]
IncompleteReason = Literal[
    "content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"
]
Detail = Literal["auto", "low", "high"]


class ImageFile(Params):
    file_id: Id
    detail: Detail | None = None


class ImageFileContentBlock(Params):
    type: Literal["image_file"]
    image_file: ImageFile


class ImageURL(Params):
    url: str
    detail: Detail | None = None


class ImageURLContentBlock(Params):
    type: Literal["image_url"]
    image_url: ImageURL


class TextContentBlockParam(Params):
    type: Literal["text"]
    text: str


MessageContentPartParam = Annotated[
    Annotated[ImageFileContentBlock, Tag("<image_file>")]
    | Annotated[ImageURLContentBlock, Tag("<image_url>")]
    | Annotated[TextContentBlockParam, Tag("<text>")],
    by_field("type", "image_file", "image_url", "text"),
]
MessageContentParam = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[MessageContentPartParam], Tag("<array>")],
    by_kind("one of a string or array of objects"),
]


class AttachmentToolFileSearch(Params):
    type: Literal["file_search"]


AttachmentTool = Annotated[
    Annotated[CodeInterpreterToolParam, Tag("<code_interpreter>")]
    | Annotated[AttachmentToolFileSearch, Tag("<file_search>")],
    by_field("type", "code_interpreter", "file_search"),
]


class Attachment(Params):
    """A file that comes with a message, and the tools that get it."""

    file_id: Id
    tools: list[AttachmentTool] | None = None


class MessageCreateParams(Params):
    """The body of ``createMessage``, and a message that a thread or run begins with."""

    role: Literal["user", "assistant"]
    content: MessageContentParam
    attachments: list[Attachment] | None = None
    metadata: dict[str, str] | None = None


class MessageUpdateParams(Params):
    """The body of ``modifyMessage``."""

    metadata: dict[str, str] | None = None


class MessageListParams(CursorQuery):
    """The query of ``listMessages``."""

    run_id: str | None = None


class FileCitation(Answer):
    file_id: str


class FileCitationAnnotation(Answer):
    """Where the text between two indices comes from."""

    type: Literal["file_citation"]
    text: str
    file_citation: FileCitation
    start_index: int
    end_index: int


class FilePath(Answer):
    file_id: str


class FilePathAnnotation(Answer):
    """The file that the text between two indices names."""

    type: Literal["file_path"]
    text: str
    file_path: FilePath
    start_index: int
    end_index: int


Annotation = Annotated[
    Annotated[FileCitationAnnotation, Tag("<file_citation>")]
    | Annotated[FilePathAnnotation, Tag("<file_path>")],
    by_field("type", "file_citation", "file_path"),
]


class Text(Answer):
    value: str
    annotations: list[Annotation]


class TextContentBlock(Answer):
    type: Literal["text"]
    text: Text


class RefusalContentBlock(Answer):
    type: Literal["refusal"]
    refusal: str


MessageContent = Annotated[
    Annotated[ImageFileContentBlock, Tag("<image_file>")]
    | Annotated[ImageURLContentBlock, Tag("<image_url>")]
    | Annotated[TextContentBlock, Tag("<text>")]
    | Annotated[RefusalContentBlock, Tag("<refusal>")],
    by_field("type", "image_file", "image_url", "text", "refusal"),
]


class IncompleteDetails(Answer):
    reason: IncompleteReason


class Message(Answer):
    """A message of a thread."""

    id: str
    object: Literal["thread.message"]
    created_at: int
    thread_id: str
    status: Status
    incomplete_details: IncompleteDetails | None
    completed_at: int | None
    incomplete_at: int | None
    role: Literal["user", "assistant"]
    content: list[MessageContent]
    assistant_id: str | None
    run_id: str | None
    attachments: list[Attachment] | None
    metadata: dict[str, str] | None


class MessageDeleted(Answer):
    id: str
    object: Literal["thread.message.deleted"]
    deleted: bool
