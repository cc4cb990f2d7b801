"""What may be uploaded: purposes, names, sizes and the lines of training data."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import orjson
from pydantic import ValidationError

from freehold.core import messages
from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.wire import errors
from freehold.wire.files import FileCreateParams, FilePurpose

PURPOSES: tuple[str, ...] = get_args(FilePurpose)
_PICTURES = ("gif", "jpeg", "jpg", "png", "webp")
_LINE_FEATURES = {"batch": "Batch API", "fine-tune": "Fine-Tuning API"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_HINT_CHARACTERS = 40


def check_purpose(purpose: str) -> None:
    """Refuse a purpose that clients can't create files for."""
    if purpose not in PURPOSES:
        raise messages.invalid_value("purpose", purpose, PURPOSES)


def check_filename(filename: str, purpose: str) -> None:
    """Refuse a name that is none, or whose extension does not go with the purpose."""
    if _CONTROL.search(filename):
        raise messages.no_match("filename", "[^\\x00-\\x1f\\x7f]*")
    longest = limits.figure("files", "filename_characters")
    if len(filename) > longest:
        raise messages.too_long("filename", "string", len(filename), longest)
    if purpose in _LINE_FEATURES and not is_lines(filename):
        raise BadRequestError(
            f"Invalid file format for {_LINE_FEATURES[purpose]}. Must be .jsonl", param="file"
        )
    if purpose == "vision" and _extension(filename) not in _PICTURES:
        raise BadRequestError(
            f"Invalid extension {_extension(filename)}. Supported formats: "
            + ", ".join(f'"{name}"' for name in _PICTURES),
            param="file",
            code="unsupported_file",
        )


def check_size(size: int, purpose: str) -> None:
    """Refuse a file that is too large for its purpose."""
    largest = limits.figure("files", "batch_bytes")
    if purpose == "batch" and size > largest:
        raise BadRequestError(
            f"File is too large for the Batch API: it has {size} bytes, {largest // 2**20} MB "
            "are allowed.",
            param="file",
        )


def checked_form(purpose: str, expiry: Mapping[str, str]) -> FileCreateParams:
    """Return the fields of a form as their wire type, or raise in OpenAI's words."""
    fields: dict[str, Any] = {"purpose": purpose}
    if expiry:
        whole = {name: int(text) for name, text in expiry.items() if _NUMBER.fullmatch(text)}
        fields["expires_after"] = {**expiry, **whole}
    try:
        sent = FileCreateParams.model_validate(fields)
    except ValidationError as error:
        raise errors.bad_request(error, fields) from None
    limits.check("createFile", fields)
    return sent


def basename(filename: str) -> str:
    """Return the last part of a path: clients may send the whole."""
    return filename.replace("\\", "/").rstrip("/").rpartition("/")[2]


def is_lines(filename: str) -> bool:
    """Return whether the name says that the file has one JSON value per line."""
    return _extension(filename) == "jsonl"


def _extension(filename: str) -> str:
    return filename.rpartition(".")[2].lower() if "." in filename else ""


class TrainingLines:
    """Looks at training data as it passes by and keeps the first fault."""

    def __init__(self) -> None:
        self._rest = b""
        self._count = 0
        self._format: _Format | None = None
        self._fault: str | None = None

    def feed(self, data: bytes) -> None:
        if self._fault is not None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._check(line)
        if len(self._rest) > limits.figure("files", "training_line_bytes"):
            self._fault = f"Line {self._count + 1} is too long."

    def check(self) -> None:
        """Raise ``BadRequestError`` for the first fault of the data, now that it is complete."""
        if self._fault is None and self._rest:
            self._check(self._rest)
            self._rest = b""
        if self._fault is None and not self._count:
            self._fault = "The file is empty."
        if self._fault is not None:
            raise BadRequestError(self._fault, param="file", code="invalid_file_format")

    def _check(self, line: bytes) -> None:
        self._count += 1
        if self._fault is not None or not line.strip():
            return
        example = _parsed(line)
        if not isinstance(example, dict):
            self._fault = (
                "Expected file to have JSONL format, where every line is a valid JSON dictionary. "
                f"Line {self._count} is not a dictionary (HINT: line starts with: "
                f'"{_beginning(line)}").'
            )
            return
        self._check_keys(cast("dict[str, Any]", example), line)

    def _check_keys(self, example: dict[str, Any], line: bytes) -> None:
        self._format = self._format or _format_of(example)
        missing = self._format.missing(example)
        if missing is not None:
            self._fault = (
                f"Expected file to have JSONL format with {self._format.keys} keys. Missing "
                f"`{missing}` key on line {self._count}. (HINT: line starts with: "
                f'"{_beginning(line)}").'
            )


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _beginning(line: bytes) -> str:
    text = line.decode(errors="replace")
    return text if len(text) <= _HINT_CHARACTERS else f"{text[:_HINT_CHARACTERS]}..."


def _missing_of_chat(example: dict[str, Any]) -> str | None:
    sent = example.get("messages")
    if not isinstance(sent, list) or not sent:
        return "messages"
    turns = cast("list[Any]", sent)
    return None if all(isinstance(t, dict) and "role" in t for t in turns) else "messages[].role"


def _missing_of_completion(example: dict[str, Any]) -> str | None:
    texts = ("prompt", "completion")
    return next((key for key in texts if not isinstance(example.get(key), str)), None)


def _missing_of_preference(example: dict[str, Any]) -> str | None:
    for names in (("input",), ("preferred_output", "preferred_completion"), _REJECTED):
        if not any(name in example for name in names):
            return names[0]
    return None


_REJECTED = ("non_preferred_output", "non_preferred_completion")


@dataclass(frozen=True, slots=True)
class _Format:
    """One kind of training data: its keys, and the first one that an example lacks."""

    keys: str
    missing: Callable[[dict[str, Any]], str | None]


_CHAT = _Format("messages", _missing_of_chat)
_COMPLETION = _Format("prompt/completion", _missing_of_completion)
_PREFERENCE = _Format("input/preferred_output/non_preferred_output", _missing_of_preference)


def _format_of(first: dict[str, Any]) -> _Format:
    """Return what every line must be: the first one says which kind of data it is."""
    if "input" in first or "preferred_output" in first:
        return _PREFERENCE
    return _COMPLETION if "prompt" in first or "completion" in first else _CHAT
