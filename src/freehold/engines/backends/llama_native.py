"""The library's other entrance, used in the child process by models that see.

With a projector loaded, the library's direct entrance takes plain text and nothing else. Its HTTP
server, which listens on a private Unix socket anyway, also takes token ids and pictures; what it
answers is turned into the lines that the direct entrance would have given.
"""

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any, Protocol

_HEADERS = {"Content-Type": "application/json", "Connection": "close"}


class Server(Protocol):
    """The part of the library's server that is used here."""

    def handle_completions(self, request: bytes, on_data: Callable[[bytes], bool]) -> None:
        """Answer in pieces; stops when ``on_data`` returns True."""
        ...


class SeeingServer:
    """A server that takes every prompt: text directly, the rest through its Unix socket."""

    def __init__(self, server: Server, control: str) -> None:
        self._server = server
        self._control = control

    def handle_completions(self, request: bytes, on_data: Callable[[bytes], bool]) -> None:
        """Answer in pieces; stops when ``on_data`` returns True. Raises ``RuntimeError``."""
        if isinstance(json.loads(request)["prompt"], str):
            self._server.handle_completions(request, on_data)
            return
        connection = _Connection(self._control)
        try:
            connection.request("POST", "/completion", request, _HEADERS)
            _pass_on(connection.getresponse(), on_data)
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeError(f"the engine's own server failed: {error}") from error
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def _pass_on(response: http.client.HTTPResponse, on_data: Callable[[bytes], bool]) -> None:
    if response.status != http.HTTPStatus.OK:
        on_data(json.dumps(json.loads(response.read())).encode())
        return
    for line in response:
        _, _, event = line.partition(b": ")
        if event and on_data(json.dumps(translated(json.loads(event))).encode()):
            return


def translated(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the direct entrance writes it."""
    if "error" in event:
        return event
    choice: dict[str, Any] = {"text": event["content"], "finish_reason": None}
    line: dict[str, Any] = {"choices": [choice]}
    if drawn := event.get("completion_probabilities"):
        choice["logprobs"] = {"content": drawn}
    if progress := event.get("prompt_progress"):
        line["prompt_progress"] = progress
    if event["stop"]:
        choice["finish_reason"] = "length" if event["stop_type"] == "limit" else "stop"
        line["usage"] = _usage(event)
    return line


def _usage(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": event["tokens_evaluated"],
        "completion_tokens": event["tokens_predicted"],
        "prompt_tokens_details": {"cached_tokens": event["timings"]["cache_n"]},
    }
