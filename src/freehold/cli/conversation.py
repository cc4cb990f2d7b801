"""A conversation with a server that speaks OpenAI's chat API, as the terminal holds it."""

import json
from collections.abc import Generator, Mapping
from contextlib import closing
from types import TracebackType
from typing import Any, Self, cast

import httpx


class ConversationError(Exception):
    """The server gave no answer; the message is one line that says why."""


class Conversation:
    """Keeps the messages and streams one answer at a time."""

    def __init__(self, base_url: str, key: str, model: str, system: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._messages = [{"role": "system", "content": system}] if system else []
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"}, timeout=httpx.Timeout(None, connect=10)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, message: str) -> Generator[str, None, None]:
        """Yield the answer's text as it comes.

        The exchange is kept as far as it came, also when the caller stops it; after an error it
        is as if the message had not been said. Raises ``ConversationError``.
        """
        question = {"role": "user", "content": message}
        heard: list[str] = []
        failed = False
        try:
            with closing(self._stream([*self._messages, question])) as pieces:
                for text in pieces:
                    heard.append(text)
                    yield text
        except ConversationError:
            failed = True
            raise
        finally:
            if not failed:
                answer = {"role": "assistant", "content": "".join(heard)}
                self._messages += [question, answer] if heard else []

    def _stream(self, messages: list[dict[str, str]]) -> Generator[str, None, None]:
        url = f"{self._base_url}/chat/completions"
        body = {"model": self._model, "messages": messages, "stream": True}
        try:
            with self._client.stream("POST", url, json=body) as answer:
                if answer.is_error:
                    answer.read()
                    raise ConversationError(_reason(answer))
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        yield _text(json.loads(line.removeprefix("data: ")))
        except httpx.ConnectError:
            raise ConversationError(
                f"No server at {self._base_url}: start one with `freehold serve`, "
                "or name it with --base-url."
            ) from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ConversationError(f"The connection broke: {reason}") from None


def _text(event: Mapping[str, Any]) -> str:
    if error := event.get("error"):
        raise ConversationError(_message(error))
    choices = cast("list[dict[str, Any]]", event.get("choices") or [])
    if not choices:
        return ""
    delta: Mapping[str, str | None] = choices[0].get("delta") or {}
    return delta.get("content") or delta.get("refusal") or ""


def _reason(answer: httpx.Response) -> str:
    try:
        return _message(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {answer.status_code} {answer.reason_phrase}."


def _message(error: Mapping[str, Any]) -> str:
    return " ".join(str(error.get("message") or "unknown error").split())
