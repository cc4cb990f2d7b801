"""``logit_bias``: OpenAI's token ids, found in the engine's own vocabulary."""

import asyncio
from collections.abc import Mapping

from freehold.core.errors import BadRequestError
from freehold.data.models import VocabularyName
from freehold.data.vocabulary import Vocabulary
from freehold.engines.base import TextEngine


async def native(
    bias: Mapping[str, float], vocabulary: VocabularyName | None, engine: TextEngine
) -> dict[int, float]:
    """Return the bias by native token id.

    A token that is not one token here is never drawn, so that to disfavour it takes nothing.
    Raises where such a token is favoured, and where the vocabulary has none of that id.
    """
    by_id = {_number(key): amount for key, amount in bias.items()}
    if vocabulary is None:
        return by_id
    table = await asyncio.to_thread(Vocabulary.load, vocabulary)
    pairs = [_translate(number, by_id[number], table, engine) for number in by_id]
    return {token: amount for token, amount in await asyncio.gather(*pairs) if token is not None}


def _number(key: str) -> int:
    if not key.isascii() or not key.isdigit():
        raise _refused(key, "expected a token ID")
    return int(key)


async def _translate(
    number: int, amount: float, table: Vocabulary, engine: TextEngine
) -> tuple[int | None, float]:
    raw = table.bytes_of(number)
    if raw is None:
        raise _refused(str(number), "the model's vocabulary has no such token ID")
    tokens = await _tokens(raw, engine)
    if len(tokens) == 1:
        return tokens[0], amount
    if amount <= 0:
        return None, amount
    shown = raw.decode(errors="replace")
    why = f"the token '{shown}' is not a single token of the engine that answers"
    raise _refused(str(number), why)


async def _tokens(raw: bytes, engine: TextEngine) -> list[int]:
    """Return the native tokens of these bytes; none where they are a part of a character."""
    try:
        return await engine.tokenize(raw.decode())
    except UnicodeDecodeError:
        return []


def _refused(key: str, why: str) -> BadRequestError:
    return BadRequestError(
        f"Invalid key in 'logit_bias': {key}: {why}.", param="logit_bias", code="invalid_value"
    )
