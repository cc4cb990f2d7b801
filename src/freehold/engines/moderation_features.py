"""What the moderation classifier reads in a text, in training and in the server alike."""

import re
import unicodedata
from itertools import pairwise
from typing import Final
from zlib import crc32

BUCKETS: Final = 1 << 16
# Characters of a piece: about as many as the embedding model reads at once.
PIECE: Final = 1000
_OVERLAP: Final = 200
_WORD: Final = re.compile(r"[\w']+|[^\w\s]")
_INVISIBLE: Final = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
_SIZES: Final = (3, 4, 5)


def pieces(text: str) -> list[str]:
    """Return overlapping pieces that cover the text, cut at spaces where there are some.

    A text of nothing but spaces has none.
    """
    text = text.strip()
    found: list[str] = []
    start = 0
    while len(text) - start > PIECE:
        end = _space_before(text, start + PIECE, start + PIECE - _OVERLAP)
        found.append(text[start:end])
        start = _space_before(text, end - _OVERLAP, end - 2 * _OVERLAP)
    return [*found, text[start:]] if text else []


def _space_before(text: str, place: int, least: int) -> int:
    """Return the last space before a place, or the place itself where there is none near."""
    found = text.rfind(" ", least, place)
    return place if found < 0 else found


def grams(text: str) -> list[int]:
    """Return the buckets of a text's distinct words, pairs of words and parts of words.

    Letters count alike in either case and in every width; invisible ones don't count.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).lower()
    words = _WORD.findall(plain)
    found = {f"w{word}" for word in words}
    found.update(f"b{first} {second}" for first, second in pairwise(words))
    for word in set(words):
        found.update(_parts(f"<{word}>"))
    return [crc32(gram.encode()) % BUCKETS for gram in found]


def _parts(word: str) -> list[str]:
    return [
        f"c{word[at : at + size]}" for size in _SIZES for at in range(max(0, len(word) - size + 1))
    ]
