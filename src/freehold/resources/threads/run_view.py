"""Runs as the API shows them."""

from collections.abc import Mapping
from typing import Any

from freehold.resources.threads.run_state import ACTIVE

_AS_KEPT = (
    "created_at",
    "assistant_id",
    "thread_id",
    "status",
    "started_at",
    "cancelled_at",
    "failed_at",
    "completed_at",
    "required_action",
    "last_error",
    "model",
    "instructions",
    "tools",
    "metadata",
    "temperature",
    "top_p",
    "max_completion_tokens",
    "max_prompt_tokens",
    "truncation_strategy",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
)


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run of a row; its usage is null and its expiry set until it has ended."""
    active = row["status"] in ACTIVE
    reason = row["incomplete_reason"]
    return {
        "id": row["id"],
        "object": "thread.run",
        **{name: row[name] for name in _AS_KEPT},
        "expires_at": row["expires_at"] if active else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": None if active else usage(row["prompt_tokens"], row["completion_tokens"]),
    }


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Return the tokens that were used."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def new_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a run that has just been created, with all its columns."""
    return {
        "status": "queued",
        "required_action": None,
        "last_error": None,
        "incomplete_reason": None,
        "turn": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        **fields,
    }
