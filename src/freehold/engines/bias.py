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
    """Return the bias by native token id. Raises where a token is not one token here."""
    ids = [_number(key) for key in bias]
    if vocabulary is not None:
        table = await asyncio.to_thread(Vocabulary.load, vocabulary)
        ids = await asyncio.gather(*(_translate(number, table, engine) for number in ids))
    return dict(zip(ids, bias.values(), strict=True))


def _number(key: str) -> int:
    if not key.isascii() or not key.isdigit():
        raise _refused(key, "expected a token ID")
    return int(key)


async def _translate(number: int, table: Vocabulary, engine: TextEngine) -> int:
    raw = table.bytes_of(number)
    if raw is None:
        raise _refused(str(number), "the model's vocabulary has no such token ID")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _refused(str(number), "the token is a part of a character") from None
    tokens = await engine.tokenize(text)
    if len(tokens) != 1:
        raise _refused(
            str(number), f"the token '{text}' is not a single token of the engine that answers"
        )
    return tokens[0]


def _refused(key: str, why: str) -> BadRequestError:
    return BadRequestError(
        f"Invalid key in 'logit_bias': {key}: {why}.", param="logit_bias", code="invalid_value"
    )
