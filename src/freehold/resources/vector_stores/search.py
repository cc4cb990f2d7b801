"""Search: by meaning and by words, joined, ranked, cut to what was asked for.

found = await search.search(services, project_id, ["vs_abc"], "When are we open?", limit=20)
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row

from freehold.api.context import Services
from freehold.data import limits
from freehold.resources.vector_stores import embedding, filters, ranking, service, store
from freehold.resources.vector_stores.filters import AnyFilter
from freehold.resources.vector_stores.ranking import Ranker, Text
from freehold.storage import fulltext
from freehold.storage.vectors import Near, OtherLengthError, Place, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SMALL: Final = "gpt-3.5-turbo"


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that was found, and its file; the score is from 0 to 1."""

    vector_store_id: str
    file_id: str
    filename: str
    attributes: Mapping[str, Any]
    score: float
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of each store."""

    questions: Sequence[str]
    limit: int
    ranker: Ranker
    where: AnyFilter | None


def results_for(model: str) -> int:
    """Return how many chunks a model is given unless told otherwise."""
    small = model.startswith(_SMALL)
    return limits.figure("file_search", "results_small" if small else "results")


def budget_for(useful_context: int | None) -> int:
    """Return how many tokens of chunks a model is given, by how many it can make use of."""
    most = limits.figure("file_search", "context_tokens")
    return most if useful_context is None else min(most, useful_context)


async def search(
    services: Services,
    project_id: str,
    store_ids: Sequence[str],
    query: str | Sequence[str],
    *,
    limit: int = 20,
    score_threshold: float = 0.0,
    ranker: Ranker = "auto",
    where: AnyFilter | None = None,
    token_budget: int | None = None,
) -> list[Found]:
    """Return the best chunks of all the stores, the best first.

    A chunk takes part as soon as its file is ``completed``. The stores count as used now. Raises
    ``NotFoundError`` and ``BadRequestError`` (expired) for a store, ``InternalServerError`` where
    its embedding model is not the one any more that indexed it.
    """
    questions = [query] if isinstance(query, str) else list(query)
    asked = _Asked(questions, limit, ranker, where)
    if where is not None:
        filters.check(where)
    found: list[Found] = []
    for row in await _use(services, project_id, store_ids):
        try:
            found += await _search_one(services, row, asked)
        except OtherLengthError as error:
            raise embedding.changed(row.embedding_model, row.id, error) from None
    found.sort(key=lambda each: -each.score)
    good = [each for each in found if each.score >= score_threshold]
    return _within(good[:limit], token_budget)


async def _use(services: Services, project_id: str, store_ids: Sequence[str]) -> list[Row[Any]]:
    """Return the stores' rows, and note that they are used."""

    def look(connection: Connection) -> list[Row[Any]]:
        rows = {row.id: row for row in store.find_all(connection, project_id, store_ids)}
        found = [service.found(rows.get(store_id), store_id) for store_id in store_ids]
        for row in found:
            service.refuse_expired(row)
        return found

    def touch(connection: Connection) -> None:
        for row in look(connection):
            service.touch(connection, row)

    rows = await services.database.read(look)
    if any(service.is_idle(row) for row in rows):
        await services.database.write(touch)
    return rows


async def _search_one(services: Services, row: Row[Any], asked: _Asked) -> list[Found]:
    files = await _files(services, row.id, asked.where)
    if files is not None and not files:
        return []
    wide = ranking.width(asked.limit)
    (vectors, near), worded = await asyncio.gather(
        _near(services, row, asked.questions, wide, files),
        services.database.read(lambda c: _worded(c, row.seq, asked.questions, wide, files)),
    )
    scores = ranking.joined(near, worded)
    candidates = list(scores)[:wide]
    chunks = await services.database.read(lambda c: store.chunks(c, candidates))
    if asked.ranker == "auto":
        texts = _texts(chunks, vectors.shape[1])
        scores = await asyncio.to_thread(ranking.ranked, texts, asked.questions, vectors)
    best = [chunk for chunk in scores if chunk in chunks][: asked.limit]
    return [_found(row.id, chunks[chunk], scores[chunk]) for chunk in best]


async def _near(
    services: Services,
    row: Row[Any],
    questions: Sequence[str],
    limit: int,
    files: Sequence[int] | None,
) -> tuple["NDArray[np.float32]", list[list[Near]]]:
    """Return the questions' vectors, and the chunks that are nearest to each."""
    vectors = await embedding.of_questions(services, row.embedding_model, questions)
    place = Place(row.id, vectors.shape[1])
    return vectors, await services.vectors.nearest(place, vectors, limit=limit, files=files)


def _worded(
    connection: Connection,
    store_seq: int,
    questions: Sequence[str],
    limit: int,
    files: Sequence[int] | None,
) -> list[list[int]]:
    return [
        fulltext.search(connection, store_seq, question, limit=limit, files=files)
        for question in questions
    ]


def _texts(chunks: Mapping[int, Any], dimensions: int) -> dict[int, Text]:
    """Return what the ranker needs. Raises ``OtherLengthError``."""
    vectors = unpacked([row.vector for row in chunks.values()], dimensions)
    return {
        seq: Text(row.text, vector)
        for (seq, row), vector in zip(chunks.items(), vectors, strict=True)
    }


async def _files(services: Services, store_id: str, where: AnyFilter | None) -> list[int] | None:
    """Return the numbers of the files that pass; None: all do."""
    if where is None:
        return None
    rows = await services.database.read(lambda c: store.attributes(c, store_id))
    return [row.seq for row in rows if filters.matches(where, row.attributes)]


def _found(store_id: str, chunk: Any, score: float) -> Found:
    return Found(
        vector_store_id=store_id,
        file_id=chunk.file_id,
        filename=chunk.filename,
        attributes=chunk.attributes,
        score=score,
        text=chunk.text,
        tokens=chunk.tokens,
    )


def _within(found: Sequence[Found], budget: int | None) -> list[Found]:
    """Return the first chunks that fit the budget together; one too large is passed over."""
    if budget is None:
        return list(found)
    kept: list[Found] = []
    for each in found:
        if each.tokens <= budget:
            kept.append(each)
            budget -= each.tokens
    return kept
