"""Ids with OpenAI's prefixes, from one table."""

import secrets
from typing import Literal

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Any byte as a letter or digit; that eight of them come a little more often costs no safety.
_LETTERS = (_ALPHABET * 5)[:256]

Kind = Literal[
    "chat_completion",
    "completion",
    "tool_call",
    "message",
    "organization",
    "project",
    "user",
    "service_account",
    "api_key",
    "rate_limit",
    "invite",
    "audit_log",
    "file",
    "upload",
    "upload_part",
    "batch",
    "batch_request",
    "fine_tuning_job",
    "assistant",
    "thread",
    "run",
    "run_step",
    "vector_store",
    "vector_store_file_batch",
    "moderation",
    "session",
    "job",
]

PREFIXES: dict[Kind, str] = {
    "chat_completion": "chatcmpl-",
    "completion": "cmpl-",
    "tool_call": "call_",
    "message": "msg_",
    "organization": "org-",
    "project": "proj_",
    "user": "user-",
    "service_account": "svc_acct_",
    "api_key": "key_",
    "rate_limit": "rl-",
    "invite": "invite-",
    "audit_log": "audit_log-",
    "file": "file-",
    "upload": "upload_",
    "upload_part": "part_",
    "batch": "batch_",
    "batch_request": "batch_req_",
    "fine_tuning_job": "ftjob-",
    "assistant": "asst_",
    "thread": "thread_",
    "run": "run_",
    "run_step": "step_",
    "vector_store": "vs_",
    "vector_store_file_batch": "vsfb_",
    "moderation": "modr-",
    "session": "sess_",
    "job": "job_",
}


def new_id(kind: Kind) -> str:
    """Return a fresh id of this kind, for example ``chatcmpl-`` and 24 letters and digits."""
    return PREFIXES[kind] + secrets.token_bytes(24).translate(_LETTERS).decode()


def new_request_id() -> str:
    """Return ``req_`` and 32 hexadecimal digits."""
    return f"req_{secrets.token_hex(16)}"
