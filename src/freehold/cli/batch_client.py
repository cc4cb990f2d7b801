"""The part of the API that `freehold batch` uses, as a client of a running server."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx

ENDED = ("completed", "failed", "expired", "cancelled")
_PAGE = 100


class BatchClientError(Exception):
    """The server did not do it; the message is one line that says why."""


class BatchClient:
    """Uploads, creates, looks at and fetches. Every method raises ``BatchClientError``."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(600, connect=10))

    def close(self) -> None:
        self._client.close()

    def upload(self, path: Path) -> str:
        """Upload the input and return the file's id."""
        with path.open("rb") as file:
            sent = {"files": {"file": (path.name, file)}, "data": {"purpose": "batch"}}
            return self._json("POST", "/files", **sent)["id"]

    def create(self, file_id: str, endpoint: str) -> dict[str, Any]:
        body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"}
        return self._json("POST", "/batches", json=body)

    def retrieve(self, batch_id: str) -> dict[str, Any]:
        return self._json("GET", f"/batches/{batch_id}")

    def cancel(self, batch_id: str) -> dict[str, Any]:
        return self._json("POST", f"/batches/{batch_id}/cancel")

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest batches, at most ``limit``."""
        found = self._json("GET", "/batches", params={"limit": min(limit, _PAGE)})["data"]
        return cast("list[dict[str, Any]]", found)

    def fetch(self, file_id: str, target: Path) -> None:
        """Append the content of a file to ``target``."""
        url = f"{self._base_url}/files/{file_id}/content"
        try:
            with self._client.stream("GET", url) as answer, target.open("ab") as file:
                if answer.is_error:
                    answer.read()
                    raise BatchClientError(_reason(answer))
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise self._broken(error) from None

    def _json(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, self._base_url + path, **sent)
        except httpx.HTTPError as error:
            raise self._broken(error) from None
        if answer.is_error:
            raise BatchClientError(_reason(answer))
        return answer.json()

    def _broken(self, error: httpx.HTTPError) -> BatchClientError:
        if isinstance(error, httpx.ConnectError):
            return BatchClientError(
                f"No server at {self._base_url}: start one with `freehold serve`, or name it with "
                "--base-url."
            )
        return BatchClientError(f"The connection broke: {str(error) or type(error).__name__}")


def faults(batch: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the input of a failed batch, a line each."""
    errors = cast("dict[str, Any]", batch.get("errors") or {"data": []})
    found = cast("list[dict[str, Any]]", errors["data"])
    return [
        f"line {one['line']}: {one['message']}" if one["line"] else one["message"] for one in found
    ]


def _reason(answer: httpx.Response) -> str:
    try:
        return " ".join(answer.json()["error"]["message"].split())
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"The server answered {answer.status_code} {answer.reason_phrase}."
