"""OpenAI's token ids, as the API uses them in ``logit_bias`` and token-array prompts."""

import lzma
from array import array
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Final

from freehold.data.models import VocabularyName

_COUNT_BYTES: Final = 4


class Vocabulary:
    """One table of tokens: their bytes in one piece, and where each begins."""

    def __init__(self, plain: bytes) -> None:
        count = int.from_bytes(plain[:_COUNT_BYTES], "little")
        lengths = plain[_COUNT_BYTES : _COUNT_BYTES + count]
        self._bytes = plain[_COUNT_BYTES + count :]
        self._starts = array("I", accumulate(lengths, initial=0))

    def __len__(self) -> int:
        """Return one more than the highest id."""
        return len(self._starts) - 1

    @staticmethod
    def load(name: VocabularyName) -> "Vocabulary":
        """Return a table of the package, read once."""
        return _load(name)

    def bytes_of(self, token_id: int) -> bytes | None:
        """Return the bytes of a token, special ones included; None where the id is not used."""
        if not 0 <= token_id < len(self):
            return None
        return self._bytes[self._starts[token_id] : self._starts[token_id + 1]] or None

    def decode(self, token_ids: Iterable[int]) -> bytes:
        """Return the bytes of a sequence. Raises ``KeyError`` with the first unused id."""
        return b"".join(map(self._known, token_ids))

    def _known(self, token_id: int) -> bytes:
        found = self.bytes_of(token_id)
        if found is None:
            raise KeyError(token_id)
        return found


@cache
def _load(name: VocabularyName) -> Vocabulary:
    packed = files("freehold.data").joinpath("vocabularies", f"{name}.bin").read_bytes()
    return Vocabulary(lzma.decompress(packed))
