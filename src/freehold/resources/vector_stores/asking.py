"""The search operation: a request's question as searches, what they find as an answer."""

import re
from typing import Final

from freehold.api.context import Context
from freehold.resources.vector_stores import search
from freehold.resources.vector_stores.ranking import Ranker
from freehold.resources.vector_stores.search import Found
from freehold.wire.vector_stores import (
    Content,
    SearchResult,
    SearchResults,
    VectorStoreSearchParams,
)

_POLITE: Final = re.compile(
    r"\b(?:hi|hello|hey|please|thanks|thank you)\b[,.!]?"
    r"|\b(?:can|could|would|will) you (?:please )?(?:tell|show|help) me\b"
    r"|\bi (?:would like|'d like|want|need) to (?:know|find out|see)\b"
    r"|\bdo you know\b",
    re.IGNORECASE,
)


async def ask(context: Context, store_id: str, body: VectorStoreSearchParams) -> SearchResults:
    """Return the best chunks of a store. Raises ``NotFoundError``, ``BadRequestError``."""
    asked = [body.query] if isinstance(body.query, str) else body.query
    if body.rewrite_query:
        asked = [rewritten(question) for question in asked]
    ranker: Ranker = "none" if body.ranking_options.ranker == "none" else "auto"
    found = await search.search(
        context.services,
        context.project_id,
        [store_id],
        asked,
        limit=body.max_num_results,
        score_threshold=body.ranking_options.score_threshold,
        ranker=ranker,
        where=body.filters,
    )
    return SearchResults(
        object="vector_store.search_results.page",
        search_query=asked,
        data=[_result(each) for each in found],
        has_more=False,
        next_page=None,
    )


def rewritten(question: str) -> str:
    """Return a question without what is only polite; as it is where nothing else would be left."""
    return _POLITE.sub(" ", question).strip(" ,!") or question


def _result(found: Found) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=[Content(type="text", text=found.text)],
    )
