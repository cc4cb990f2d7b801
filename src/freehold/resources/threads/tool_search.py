"""The file search of a run: what is searched, what the API shows of it, what the model is told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from freehold.api.context import Services
from freehold.core.errors import APIError
from freehold.data import limits
from freehold.engines.registry import Model
from freehold.resources.threads import citation, run_store
from freehold.resources.vector_stores import search
from freehold.resources.vector_stores.search import Found

_LOOKS_PER_S = 10
_RANKER = "default_2024_08_21"
_PASSAGES = 4  # sentences that a weak model is shown


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: as the API shows it, and as the model is told."""

    shown: dict[str, Any]
    told: str


def stores(run: Mapping[str, Any], thread: Mapping[str, Any]) -> list[str]:
    """Return the vector stores of the run's assistant and of its thread."""
    both = (run["tool_resources"], thread["tool_resources"])
    ids = [i for kept in both for i in kept.get("file_search", {}).get("vector_store_ids", ())]
    return list(dict.fromkeys(ids))


def useful_context(model: Model) -> int | None:
    """Return how many tokens of passages the model can make use of; None: as many as it gets."""
    return None if model.defaults is None else model.defaults.useful_context


async def call(
    services: Services,
    run: Mapping[str, Any],
    thread: Mapping[str, Any],
    call_id: str,
    queries: Sequence[str],
) -> Outcome:
    """Search, and return what was found; faults are told to the model."""
    options = _options(run)
    found: list[Found] = []
    told = 'The search failed: give {"queries": ["..."]}.'
    store_ids = stores(run, thread)
    if queries:
        try:
            if store_ids:
                found = await _search(services, run, store_ids, queries)
            told = _told(found)
        except APIError as error:
            told = f"The search failed: {error.message}"
    search: dict[str, Any] = {
        "ranking_options": {"ranker": _RANKER, "score_threshold": options.threshold},
        "results": [_shown(each) for each in found],
    }
    return Outcome({"id": call_id, "type": "file_search", "file_search": search}, told)


async def _search(
    services: Services, run: Mapping[str, Any], store_ids: Sequence[str], queries: Sequence[str]
) -> list[Found]:
    options = _options(run)
    model = services.registry.find(run["model"])
    await _indexed(services, store_ids)
    return await search.search(
        services,
        run["project_id"],
        store_ids,
        queries,
        limit=options.results or search.results_for(run["model"]),
        score_threshold=options.threshold,
        token_budget=search.budget_for(useful_context(model)),
    )


async def _indexed(services: Services, store_ids: Sequence[str]) -> None:
    """Wait, though not for ever, until what has just been uploaded can be found."""
    for _ in range(limits.figure("runs", "indexing_s") * _LOOKS_PER_S):
        if not await services.database.read(lambda c: run_store.is_indexing(c, store_ids)):
            return
        await asyncio.sleep(1 / _LOOKS_PER_S)


@dataclass(frozen=True, slots=True)
class _Options:
    results: int | None
    threshold: float


def _options(run: Mapping[str, Any]) -> _Options:
    """Return what the run's tool says of its searches."""
    tools: Sequence[Mapping[str, Any]] = run["tools"]
    given: Any = next((t.get("file_search") for t in tools if t["type"] == "file_search"), None)
    ranking: Any = given and given.get("ranking_options")
    threshold = ranking.get("score_threshold") if ranking else None
    return _Options(given.get("max_num_results") if given else None, threshold or 0.0)


def _shown(found: Found) -> dict[str, Any]:
    return {
        "file_id": found.file_id,
        "file_name": found.filename,
        "score": found.score,
        "content": [{"type": "text", "text": found.text}],
    }


def _told(found: Sequence[Found]) -> str:
    if not found:
        return "Nothing was found."
    return "\n\n".join(f"From {each.filename}:\n{each.text}" for each in found)


def passages(question: str, results: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentences of the results that are nearest to a question, for a weak model."""
    wanted = set(citation.words(question))
    texts = (part["text"] for result in results for part in result["content"])
    sentences = list(dict.fromkeys(s for text in texts for s in citation.sentences(text)))
    scores = [len(wanted & set(citation.words(sentence))) for sentence in sentences]
    best = sorted(range(len(sentences)), key=lambda place: -scores[place])[:_PASSAGES]
    return " ".join(sentences[place] for place in sorted(best))
