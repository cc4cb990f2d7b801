"""Whether the input of a batch can be run: line by line, then as a whole."""

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, cast

import orjson

from freehold.api.app import checked_body
from freehold.api.operation import Bound
from freehold.core import messages
from freehold.core.errors import APIError
from freehold.data import limits
from freehold.engines.registry import Registry
from freehold.resources.batches import lines

_LINES_AT_ONCE = 50  # checked before others may go on


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: how many requests and tokens, for which model, and what is wrong."""

    total: int
    tokens: int  # about
    model: str | None
    faults: list[dict[str, Any]]


async def check(
    chunks: AsyncIterable[bytes], endpoint: str, to: Bound, registry: Registry
) -> Checked:
    """Check every line, up to the most faults that are listed."""
    inspector = _Inspector(endpoint, to, registry)
    most = limits.figure("batch", "error_lines")
    async for number, line in lines.numbered(chunks):
        inspector.inspect(number, line)
        if len(inspector.faults) >= most:
            break
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)
    inspector.conclude()
    faults = inspector.faults[:most]
    return Checked(inspector.total, inspector.letters // 4, inspector.model, faults)


class _Fault(Exception):  # noqa: N818 - a finding, not an error of ours
    """One thing that is wrong with a line."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class _Inspector:
    def __init__(self, endpoint: str, to: Bound, registry: Registry) -> None:
        self.faults: list[dict[str, Any]] = []
        self.total = 0
        self.letters = 0
        self.model: str | None = None
        self._endpoint = endpoint
        self._to = to
        self._registry = registry
        self._ids: set[str] = set()
        self._inputs = 0

    def inspect(self, number: int, line: bytes) -> None:
        """Check one line and keep what is wrong with it."""
        self.total += 1
        try:
            self._check(line)
        except _Fault as fault:
            self._note(fault, number)
        except APIError as error:
            code = error.code or "invalid_request"
            self._note(_Fault(code, error.message, _in_body(error.param)), number)

    def conclude(self) -> None:
        """Check what is about all lines together."""
        most = limits.figure("batch", "requests")
        if not self.total:
            self._note(_Fault("empty_file", "The input file of the batch is empty."))
        if self.total > most:
            told = f"The input file holds {self.total} requests; a batch takes at most {most}."
            self._note(_Fault("too_many_tasks", told))
        most = limits.figure("batch", "embedding_inputs")
        if self._inputs > most:
            told = f"The requests hold {self._inputs} inputs in all; a batch takes at most {most}."
            self._note(_Fault("too_many_inputs", told, "body.input"))

    def _note(self, fault: _Fault, line: int | None = None) -> None:
        told = {"code": fault.code, "message": fault.message}
        self.faults.append({**told, "param": fault.param, "line": line})

    def _check(self, line: bytes) -> None:
        most = limits.json_body_bytes()
        if len(line) > most:
            told = f"This line is larger than the {most // 2**20} MB that a request may have."
            raise _Fault("request_too_large", told)
        fields = _parsed(line)
        for name in ("custom_id", "method", "url", "body"):
            if fields.get(name) is None:
                fault = messages.missing(name)
                raise _Fault("missing_required_parameter", fault.message, name)
        self._check_id(fields["custom_id"])
        self._check_target(fields["method"], fields["url"])
        self._check_body(fields["body"])

    def _check_id(self, custom_id: Any) -> None:
        if not isinstance(custom_id, str):
            raise messages.invalid_type("custom_id", "a string", custom_id)
        if custom_id in self._ids:
            raise _Fault(
                "duplicate_custom_id",
                f"The custom_id '{custom_id}' is used by another request of this batch. It must be "
                "unique for each request.",
                "custom_id",
            )
        self._ids.add(custom_id)

    def _check_target(self, method: Any, url: Any) -> None:
        if method != "POST":
            raise _Fault("invalid_method", "The only supported method is 'POST'.", "method")
        if url != self._endpoint:
            raise _Fault(
                "invalid_url",
                f"The URL provided for this request does not match the batch's endpoint: expected "
                f"'{self._endpoint}'.",
                "url",
            )

    def _check_body(self, body: Any) -> None:
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if fields.get("stream"):
            raise _Fault(
                "streaming_unsupported",
                "Requests with `stream=true` are not supported in a batch. Set `stream=false`.",
                "body.stream",
            )
        checked_body(self._to, body)
        self._check_model(fields.get("model"))
        self._count_inputs(fields.get("input"))
        self.letters += sum(_letters(fields.get(name)) for name in ("input", "messages", "prompt"))

    def _check_model(self, model: str | None) -> None:
        if model is None:  # an operation that has a default
            return
        if self.model is None:
            self._registry.require(self._registry.find(model), self._to.operation_id)
            self.model = model
        elif model != self.model:
            raise _Fault(
                "mismatched_model",
                f"All requests of a batch must name the same model: expected '{self.model}', got "
                f"'{model}'.",
                "body.model",
            )

    def _count_inputs(self, given: Any) -> None:
        """Count the inputs of an embedding: one text or array of tokens is one."""
        if isinstance(given, list) and given and not isinstance(given[0], int):
            self._inputs += len(cast("list[Any]", given))
        elif given is not None:
            self._inputs += 1


def _letters(given: Any) -> int:
    """Return how many letters a text holds; a token counts as four of them."""
    if isinstance(given, str):
        return len(given)
    if isinstance(given, list):
        return sum(map(_letters, cast("list[Any]", given)))
    if isinstance(given, dict):
        holder = cast("dict[str, Any]", given)
        return _letters(holder.get("content")) + _letters(holder.get("text"))
    return 4 if isinstance(given, int) else 0


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _Fault("invalid_json_line", "This line is not parseable as valid JSON.") from None
    if not isinstance(fields, dict):
        raise _Fault("invalid_json_line", "This line is not a JSON object.")
    return cast("dict[str, Any]", fields)


def _in_body(param: str | None) -> str | None:
    """Return where in the line a parameter of the body is."""
    return f"body.{param}" if param and param != "custom_id" else param
