"""The search operation: a request's question as searches, what they find as an answer."""

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


async def ask(context: Context, store_id: str, body: VectorStoreSearchParams) -> SearchResults:
    """Return the best chunks of a store. Raises ``NotFoundError``, ``BadRequestError``."""
    asked = [body.query] if isinstance(body.query, str) else body.query
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


def _result(found: Found) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=[Content(type="text", text=found.text)],
    )
