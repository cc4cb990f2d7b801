"""Published text to learn from besides our own: read where a folder with it is at hand.

The folder holds one ``NAME.jsonl.xz`` a source; ``FREEHOLD_TRAINING_CORPUS`` in the environment
names it. Without it, or without one of its files, there are no rows, and the mixture goes without.
"""

import json
import lzma
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = "FREEHOLD_TRAINING_CORPUS"

# Only sources whose licence lets weights trained on them be published under CC BY 4.0.
SOURCES = {
    "factbook": "The World Factbook (CC0)",
    "fairytale": "FairytaleQA (Apache-2.0)",
    "fairytale_stories": "the stories of FairytaleQA (Apache-2.0)",
    "openstax": "OpenStax textbooks (CC BY 4.0)",
    "tldr": "tldr-pages (CC BY 4.0)",
    "wordnet": "Open English WordNet (CC BY 4.0)",
}


def rows(name: str) -> Sequence[dict[str, Any]]:
    """Return a source's rows, none without its file. Raises ``KeyError`` for an unknown one."""
    if name not in SOURCES:
        raise KeyError(name)
    return _read(os.environ.get(FOLDER, ""), name)


@cache
def _read(folder: str, name: str) -> Sequence[dict[str, Any]]:
    path = Path(folder, f"{name}.jsonl.xz")
    if not folder or not path.is_file():
        return []
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
