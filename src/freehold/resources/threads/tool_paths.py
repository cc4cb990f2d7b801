"""Files that the code interpreter made, and where an answer names them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

PREFIX = "sandbox:/mnt/data/"


def annotations(text: str, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return an annotation for each place of ``text`` that names one of the files.

    ``files`` holds their ids by their names below /mnt/data.
    """
    if PREFIX not in text:
        return []
    names = sorted(files, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(PREFIX + name) for name in names) or r"(?!)")
    return [
        {
            "type": "file_path",
            "text": found[0],
            "start_index": found.start(),
            "end_index": found.end(),
            "file_path": {"file_id": files[found[0].removeprefix(PREFIX)]},
        }
        for found in pattern.finditer(text)
    ]


def unnamed(text: str, files: Mapping[str, str]) -> str:
    """Return lines that name the files which the answer has forgotten, for its end."""
    missing = [name for name in files if PREFIX + name not in text]
    links = [f"[{name}]({PREFIX}{name})" for name in missing]
    return "\n\n" + "\n".join(links) if links else ""


def made(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the files that calls of these steps made: ids by names, a newer file for an older."""
    files: dict[str, str] = {}
    for step in steps:
        for call in step["calls"] or ():
            files |= call.get("files") or {}
    return files
