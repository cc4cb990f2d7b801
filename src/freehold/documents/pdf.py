"""The text of PDF files, by PDFium."""

import importlib
from pathlib import Path
from typing import Any, Final

from freehold.documents.errors import UnreadableError

_pdfium: Final[Any] = importlib.import_module("pypdfium2")  # it has no types


def read(path: Path) -> str:
    """Return the text of every page, in order."""
    try:
        with _pdfium.PdfDocument(path) as document:
            pages = [_text(document[number]) for number in range(len(document))]
    except _pdfium.PdfiumError as error:
        raise _unreadable(error) from None
    text = "\n\n".join(page for page in pages if page.strip())
    if not text:
        raise UnreadableError("The PDF has no text: its pages are pictures, or empty.")
    return text


def _text(page: Any) -> str:
    return page.get_textpage().get_text_bounded().replace("\r\n", "\n")


def _unreadable(error: Exception) -> UnreadableError:
    if "password" in str(error).lower():
        return UnreadableError("The PDF is encrypted: a password is needed to read it.")
    return UnreadableError("The PDF is damaged, or no PDF.")
