"""Runs an operation for somebody who is not on the line: the same checks, limits and handlers."""

import logging
import traceback
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.api import answers
from freehold.api.app import checked_body
from freehold.api.auth import Principal
from freehold.api.context import Context, Services
from freehold.api.operation import PREFIX, Bound, bound
from freehold.api.usage import UsageRecord
from freehold.core.errors import APIError, InternalServerError
from freehold.core.ids import new_request_id
from freehold.data import document

log = logging.getLogger("freehold")


@dataclass(slots=True)
class Collected:
    """A ``UsageLedger`` that hands on what it was given only when asked to."""

    records: list[UsageRecord] = field(default_factory=list[UsageRecord])

    def record(self, usage: UsageRecord) -> None:
        self.records.append(usage)


@dataclass(frozen=True, slots=True)
class Replayed:
    """An answer: its status, its body as JSON, and what it used, which is not yet counted."""

    status: int
    request_id: str
    body: bytes
    usage: tuple[UsageRecord, ...]
    error: APIError | None = None


def bound_to(url: str) -> Bound | None:
    """Return the operation that a POST to ``url`` reaches, None where none is built."""
    operation = document.find("POST", url.removeprefix(PREFIX))
    return None if operation is None else bound(operation.id)


async def replay(services: Services, principal: Principal, to: Bound, body: Any) -> Replayed:
    """Answer ``body`` as if ``principal`` had sent it; errors are answers too."""
    usage = Collected()
    context = Context(
        services=replace(services, usage=usage),
        principal=principal,
        operation_id=to.operation_id,
        request_id=new_request_id(),
    )
    try:
        answer = await to.handler(context, body=checked_body(to, body))
        status, written, failure = 200, answers.encode(answer), None
    except APIError as error:
        status, written, failure = error.status, answers.encode(error.body()), error
    except Exception as error:  # noqa: BLE001 - the boundary: reported, answered without detail
        failure = _unknown(context, error)
        status, written = failure.status, answers.encode(failure.body())
    records = tuple(replace(record, batch=True) for record in usage.records)
    return Replayed(status, context.request_id, written, records, failure)


def _unknown(context: Context, error: Exception) -> InternalServerError:
    """Log an unknown exception without its message, which may quote a prompt."""
    fields = {
        "request_id": context.request_id,
        "operation": context.operation_id,
        "frames": traceback.format_tb(error.__traceback__),
    }
    log.error("unhandled %s", type(error).__qualname__, extra={"fields": fields})
    return InternalServerError(
        "The server had an error while processing your request. Sorry about that! The operator "
        f"finds it in the log under the request ID {context.request_id}."
    )
