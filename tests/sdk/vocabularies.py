"""OpenAI's vocabulary where its tokenizer looks for a downloaded one: the tests have no network."""

import base64
import hashlib
from pathlib import Path

from freehold.data.vocabulary import Vocabulary

_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
_PLAIN_TOKENS = 100_256  # control tokens follow; the tokenizer knows them by itself


def write_cl100k(folder: Path) -> None:
    """Write the file as it would have been downloaded; the tokenizer checks its SHA-256."""
    table = Vocabulary.load("cl100k_base")
    lines = (
        f"{base64.b64encode(table.bytes_of(rank) or b'').decode()} {rank}\n"
        for rank in range(_PLAIN_TOKENS)
    )
    name = hashlib.sha1(_SOURCE.encode()).hexdigest()  # noqa: S324 - the tokenizer's file name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(lines), encoding="ascii")
