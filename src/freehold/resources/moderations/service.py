"""Moderations: from texts and pictures to the categories that they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from freehold.api.context import Context
from freehold.core import ids
from freehold.data import moderations
from freehold.engines.base import Moderated
from freehold.engines.registry import Model
from freehold.engines.viewer import Facts
from freehold.resources.moderations import inputs, rules
from freehold.resources.moderations.inputs import Item
from freehold.wire.moderations import ModerationCreateParams

_DEFAULT: Final = "omni-moderation-latest"


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found about one item: in each of its texts, and in its pictures."""

    texts: Sequence[Moderated]
    pictures: Sequence[Facts]


async def create(context: Context, body: ModerationCreateParams) -> dict[str, Any]:
    """Classify texts and pictures; strings get one result each, parts one together.

    Raises ``BadRequestError``, and ``ServiceUnavailableError`` where an engine is missing.
    """
    model = context.services.registry.find(body.model or _DEFAULT)
    context.services.registry.require(model, context.operation_id)
    items = inputs.read(body)
    rules.check(body, items, model)
    texts = await _fitting(items, model)
    estimate = sum(len(text) for text in texts) // 4 + len(items)
    await context.take(model.snapshot, estimate)
    found = await _found(context, items, texts, model)
    tokens = sum(text.tokens for item in found for text in item.texts)
    context.used(taken=estimate, input_tokens=tokens, output_tokens=0, cached=0)
    return {
        "id": ids.new_id("moderation"),
        "model": _told(model),
        "results": [_result(item, model) for item in found],
    }


async def _fitting(items: Sequence[Item], model: Model) -> list[str]:
    """Return the texts of all items in a row, as far as they are read."""
    texts = rules.countable([text for item in items for text in item.texts], model)
    if rules.is_safe(texts, model):
        return texts
    engine = await model.moderation.ensure_loaded()
    return rules.fitting(texts, await engine.count_tokens(texts), model)


async def _found(
    context: Context, items: Sequence[Item], texts: Sequence[str], model: Model
) -> list[Found]:
    """Look at everything; what is written in a picture is read like a text of its item."""
    services = context.services
    facts = [await inputs.look(item.parts, services.fetcher, services.viewer) for item in items]
    rest = iter(texts)
    filled = [
        replace(item, texts=(*(next(rest) for _ in item.texts), *(f.text for f in seen if f.text)))
        for item, seen in zip(items, facts, strict=True)
    ]
    every = [text for item in filled for text in item.texts]
    judged = iter(await _moderated(every, model))
    return [
        Found([next(judged) for _ in item.texts], seen)
        for item, seen in zip(filled, facts, strict=True)
    ]


async def _moderated(texts: Sequence[str], model: Model) -> Sequence[Moderated]:
    if not texts:
        return []
    async with model.moderation.admit() as engine:
        return await engine.moderate(texts)


def _told(model: Model) -> str:
    """Return the id that an answer carries: OpenAI's newer models answer by the name asked for."""
    return model.id if "image" in model.row.input else model.snapshot


def _result(found: Found, model: Model) -> dict[str, Any]:
    newer = "image" in model.row.input
    names = [n for n in moderations.CATEGORIES if newer or n not in moderations.NEWER]
    scores = {name: _highest(found, name) for name in names}
    applies = {name: _applies(found, name) for name in names}
    result: dict[str, Any] = {
        "flagged": any(applies.values()),
        "categories": applies,
        "category_scores": scores,
    }
    if newer:
        result["category_applied_input_types"] = _types(found, names)
    return result


def _highest(found: Found, name: str) -> float:
    seen = [facts.sexual or 0.0 for facts in found.pictures if name == moderations.SEEN]
    return max([text.scores[name] for text in found.texts] + seen, default=0.0)


def _applies(found: Found, name: str) -> bool:
    if any(name in text.applying for text in found.texts):
        return True
    threshold = moderations.picture().threshold
    seen = found.pictures if name == moderations.SEEN else ()
    return any((facts.sexual or 0.0) >= threshold for facts in seen)


def _types(found: Found, names: Sequence[str]) -> Mapping[str, list[str]]:
    """Return by category which kinds of input its score is made of."""
    read = ["text"] if found.texts else []
    seen = ["image"] if found.pictures else []
    return {name: read + (seen if name == moderations.SEEN else []) for name in names}
