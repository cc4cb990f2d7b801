"""The program that reads one document, so that a parser's fault or greed ends it and no more.

Its arguments are the path, the ending of the name, the size and the overlap of chunks and the most
tokens. It answers on standard output with the text and its chunks, or with why it can't be read.
"""

import os
import resource
import sys
from pathlib import Path
from typing import Final

import msgspec

from freehold.documents import chunking, formats
from freehold.documents.chunking import Chunking
from freehold.documents.errors import UnreadableError
from freehold.documents.messages import Parsed, Unreadable

_MEMORY: Final = 1 << 30
_CPU_S: Final = 120


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what parsers print is no answer
    path, ending, size, overlap, most = sys.argv[1:]
    try:
        told = _read(Path(path), ending, Chunking(int(size), int(overlap)), int(most))
    except UnreadableError as error:
        told = Unreadable(error.code, error.message)
    except (MemoryError, RecursionError):
        told = Unreadable("invalid_file", "The file takes too much memory to read.")
    answer.write(msgspec.msgpack.encode(told))
    answer.flush()
    os._exit(0)


def _read(path: Path, ending: str, how: Chunking, most: int) -> Parsed:
    text = formats.read(path, ending).replace("\0", "").encode(errors="replace").decode()
    spans = chunking.cut(text, how, most)
    if not spans:
        raise UnreadableError("The file is empty: it has no text.")
    return Parsed(text, [(span.start, span.end, span.tokens) for span in spans])


if __name__ == "__main__":
    main()
