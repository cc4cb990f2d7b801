"""The forms of ``prompt`` as what an engine continues."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from freehold.core.errors import BadRequestError
from freehold.data.models import VocabularyName
from freehold.data.vocabulary import Vocabulary
from freehold.engines.base import TextEngine
from freehold.wire.completions import CompletionCreateParams

# Where no prompt is given: the beginning of a new document.
NEW_DOCUMENT = "<|endoftext|>"
# Tokens that engines may put before a text, or around two.
_MARKS = 4


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue. ``native`` are the engine's own ids where the caller sent such."""

    text: str
    native: tuple[int, ...] | None = None

    @property
    def given(self) -> str | Sequence[int]:
        """What the engine is given: of a new document, nothing."""
        if self.native is not None:
            return self.native
        return "" if self.text == NEW_DOCUMENT else self.text

    def most_tokens(self) -> int:
        """Return a bound of the tokens that costs nothing to find."""
        return _MARKS + (len(self.text.encode()) if self.native is None else len(self.native))

    def estimate(self) -> int:
        """Return about how many tokens there are."""
        return len(self.text) // 4 + 1 if self.native is None else len(self.native)


async def read(
    body: CompletionCreateParams, vocabulary: VocabularyName | None, engine: TextEngine
) -> list[Prompt]:
    """Return the prompts in their order. OpenAI's token ids become text, others stay as they are.

    Raises ``BadRequestError`` for an id that the vocabulary does not have.
    """
    given = body.prompt
    if given is None:
        return [Prompt(NEW_DOCUMENT)]
    if isinstance(given, str):
        return [Prompt(given)]
    if isinstance(given[0], str):
        return [Prompt(text) for text in cast("list[str]", given)]
    one = isinstance(given[0], int)
    arrays = [cast("list[int]", given)] if one else cast("list[list[int]]", given)
    if vocabulary is None:
        return [await _native(body, tokens, engine) for tokens in arrays]
    return await asyncio.to_thread(_decoded, arrays, vocabulary)


async def _native(
    body: CompletionCreateParams, tokens: Sequence[int], engine: TextEngine
) -> Prompt:
    """Return a prompt of the engine's ids, with its text where that is asked for."""
    if any(token < 0 for token in tokens):
        raise _unknown(min(tokens))
    wanted = body.echo or body.logprobs is not None or body.suffix
    return Prompt(await engine.detokenize(tokens) if wanted else "", tuple(tokens))


def _decoded(arrays: Sequence[Sequence[int]], vocabulary: VocabularyName) -> list[Prompt]:
    table = Vocabulary.load(vocabulary)
    try:
        # Whoever cut a text into arrays may have cut a character, too.
        return [Prompt(table.decode(tokens).decode(errors="replace")) for tokens in arrays]
    except KeyError as error:
        raise _unknown(error.args[0]) from None


def _unknown(token: int) -> BadRequestError:
    return BadRequestError(
        f"Invalid 'prompt': {token} is not a token ID of this model's vocabulary.",
        param="prompt",
        code="invalid_value",
    )
