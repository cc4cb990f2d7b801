"""The four forms of ``input`` as what an engine embeds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from freehold.data.models import VocabularyName
from freehold.data.vocabulary import Vocabulary
from freehold.engines.base import EmbeddingInput
from freehold.resources.embeddings import rules
from freehold.wire.embeddings import EmbeddingCreateParams


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is embedded. ``given`` counts the tokens of arrays that the caller sent."""

    values: Sequence[EmbeddingInput]
    given: tuple[int, ...] | None = None

    def counts(self, counted: Sequence[int]) -> Sequence[int]:
        """Return the tokens of each input: the caller's where they came as tokens."""
        return counted if self.given is None else self.given

    def estimate(self) -> int:
        """Return about how many tokens there are, before an engine has counted them."""
        if self.given is not None:
            return sum(self.given)
        return sum(len(value) for value in self.values) // 4 + len(self.values)


async def read(body: EmbeddingCreateParams, vocabulary: VocabularyName | None) -> Inputs:
    """Return the inputs. Arrays of OpenAI's token ids become text; other ids stay as they are.

    Raises ``BadRequestError`` for an id that the vocabulary does not have.
    """
    if isinstance(body.input, str):
        return Inputs([body.input])
    if isinstance(body.input[0], str):
        return Inputs(cast("list[str]", body.input))
    one = isinstance(body.input[0], int)
    arrays = [cast("list[int]", body.input)] if one else cast("list[list[int]]", body.input)
    given = tuple(len(tokens) for tokens in arrays)
    if vocabulary is None:
        return Inputs(arrays, given)
    return Inputs(await asyncio.to_thread(_texts, arrays, vocabulary), given)


def _texts(arrays: Sequence[Sequence[int]], vocabulary: VocabularyName) -> list[str]:
    table = Vocabulary.load(vocabulary)
    texts: list[str] = []
    for index, tokens in enumerate(arrays):
        try:
            # Whoever cut a text into arrays may have cut a character, too.
            texts.append(table.decode(tokens).decode(errors="replace"))
        except KeyError as error:
            raise rules.unknown_token(index, error.args[0]) from None
    return texts
