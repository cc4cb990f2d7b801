"""Which kinds of files can be read, and by what; readers are imported when they are needed."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

from freehold.documents.errors import UnreadableError

_PLAIN: Final = "c cpp cs css go java js json md php py rb sh tex ts txt"
_READERS: Final[Mapping[str, str]] = {
    "doc": "word:read",
    "docx": "office:read_docx",
    "html": "markup:read",
    "pdf": "pdf:read",
    "pptx": "office:read_pptx",
    **dict.fromkeys(_PLAIN.split(), "plain:read"),
}


def supported() -> tuple[str, ...]:
    """Return the endings of names that can be read."""
    return tuple(sorted(_READERS))


def check(filename: str) -> str:
    """Return the ending of a name. Raises ``UnreadableError`` where it can't be read."""
    ending = Path(filename).suffix.lower().removeprefix(".")
    if ending not in _READERS:
        named = f"type .{ending}" if ending else "type of a file without an extension"
        raise UnreadableError(
            f"The {named} is not supported. Supported are: {', '.join(supported())}.",
            "unsupported_file",
        )
    return ending


def read(path: Path, ending: str) -> str:
    """Return the text of a file. Raises ``UnreadableError``."""
    module, name = _READERS[ending].split(":")
    reader = getattr(importlib.import_module(f"freehold.documents.{module}"), name)
    return cast("Callable[[Path], str]", reader)(path)
