"""Steps of runs as the API shows them."""

from collections.abc import Mapping
from typing import Any

from freehold.resources.threads.run_view import usage

RESULTS = "step_details.tool_calls[*].file_search.results[*].content"


def shown(step: Mapping[str, Any], run: Mapping[str, Any], *, results: bool) -> dict[str, Any]:
    """Return the step of a row; what a search found is shown where ``results`` says so."""
    prompt, completion = step["prompt_tokens"], step["completion_tokens"]
    used = None
    if prompt is not None and completion is not None and step["status"] != "in_progress":
        used = usage(prompt, completion)
    return {
        "id": step["id"],
        "object": "thread.run.step",
        "created_at": step["created_at"],
        "run_id": run["id"],
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "type": step["type"],
        "status": step["status"],
        "cancelled_at": step["cancelled_at"],
        "completed_at": step["completed_at"],
        "expired_at": step["expired_at"],
        "failed_at": step["failed_at"],
        "last_error": step["last_error"],
        "metadata": {},
        "step_details": step["details"] if results else _without_results(step["details"]),
        "usage": used,
    }


def _without_results(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details with the files of each search's results, but not their content."""
    if details["type"] != "tool_calls":
        return dict(details)
    return {**details, "tool_calls": [shown_call(c, results=False) for c in details["tool_calls"]]}


def shown_call(call: Mapping[str, Any], *, results: bool) -> dict[str, Any]:
    """Return a call; what a search found is shown where ``results`` says so."""
    search = call.get("file_search")
    if results or not search or "results" not in search:
        return dict(call)
    files = [{k: v for k, v in found.items() if k != "content"} for found in search["results"]]
    return {**call, "file_search": {**search, "results": files}}


def new_row(run_id: str, step_id: str, details: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Return the row of a step that begins, with all its columns."""
    return {
        "id": step_id,
        "run_id": run_id,
        "type": details["type"],
        "status": "in_progress",
        "details": dict(details),
        "calls": None,
        "last_error": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "created_at": now,
        "expired_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
    }
