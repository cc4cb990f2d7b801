"""Any OpenAI-compatible server as a text engine."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Self

import httpx
import msgspec
import orjson

from freehold.core.errors import (
    APIError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
)
from freehold.engines.backends.upstream_wire import (
    EventReader,
    TokenizerAnswer,
    chat_body,
    error_fields,
    read_chunk,
    read_error,
    request_body,
    scores,
    scoring_body,
)
from freehold.engines.base import (
    Chat,
    EngineConfig,
    EngineLoadError,
    EngineStatus,
    Generation,
    TextEvent,
    TokenLogprob,
)

_WINDOW = 131_072
_SLOTS = 64
_TIMEOUT_S = 600.0
_CONNECT_S = 10.0
_RETRIES = 2
_FIRST_PAUSE_S = 0.1
_END = b"[DONE]"
_STATUSES: Mapping[int, type[APIError]] = {
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
}


class UpstreamEngine:
    """Generates by asking a server; the answer is always streamed, so that it can be stopped."""

    def __init__(self, config: EngineConfig, client: httpx.AsyncClient, retries: int) -> None:
        self._config = config
        self._client = client
        self._retries = retries
        self._busy = 0

    @classmethod
    async def load(cls, config: EngineConfig) -> Self:
        """Return the engine; the upstream is not asked for anything yet."""
        options = config.options
        if not (base_url := options.get("base_url")):
            raise EngineLoadError(
                f"The upstream of {config.model!r} has no address: set base_url in freehold.toml "
                '(for example "http://127.0.0.1:8000/v1").'
            )
        client = httpx.AsyncClient(
            base_url=base_url,
            headers=_authorization(options.get("api_key_env")),
            timeout=httpx.Timeout(options.get("timeout_s", _TIMEOUT_S), connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_SLOTS),
        )
        return cls(config, client, options.get("retries", _RETRIES))

    @property
    def window(self) -> int:
        """Tokens one request may use; the upstream has the last word."""
        return self._config.context or _WINDOW

    @property
    def slots(self) -> int:
        """How many requests the upstream is given at once."""
        return self._config.slots or _SLOTS

    @property
    def sees(self) -> bool:
        """Pictures are passed on: the upstream knows whether its model understands them."""
        return True

    async def generate(self, request: Generation) -> AsyncGenerator[Sequence[TextEvent], None]:
        """Yield the upstream's events; closing the generator closes the connection."""
        if request.schema is not None and not isinstance(request.prompt, Chat):
            raise BadRequestError("The upstream can't enforce a schema on a raw prompt.")
        path, body = request_body(request, self._config.model, self._config.system_prompt)
        self._busy += 1
        try:
            response = await self._send(path, body)
            try:
                await _raise_for_status(response)
                async for events in _events(response):
                    yield events
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            finally:
                await response.aclose()
        finally:
            self._busy -= 1

    async def score(self, prompt: str | Sequence[int], alternatives: int) -> Sequence[TokenLogprob]:
        """Return the upstream's figures. Raises ``BadRequestError`` where it tells none."""
        body = scoring_body(prompt, self._config.model, alternatives)
        response = await self._send("/completions", body)
        try:
            await _raise_for_status(response)
            scored = scores(read_chunk(await response.aread()), prompt)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        finally:
            await response.aclose()
        if scored is None:
            raise BadRequestError(
                "The upstream that serves this model does not tell the log-probabilities of a "
                "prompt, so 'echo' can't be used together with 'logprobs'.",
                param="echo",
            )
        return scored

    async def count_tokens(self, prompt: Chat | str) -> int:
        """Return the upstream's count. Raises ``BadRequestError`` where it offers no tokenizer."""
        if isinstance(prompt, str):
            return len(await self.tokenize(prompt))
        chat = chat_body(prompt, self._config.system_prompt)
        answer = await self._ask("/tokenize", {"model": self._config.model, **chat})
        if answer.count is not None:
            return answer.count
        # llama.cpp counts plain text only: render the conversation first.
        rendered = await self._ask("/apply-template", chat)
        text = {
            "content": rendered.prompt or _no_tokenizer(),
            "parse_special": True,
            "add_special": True,
        }
        return len(_tokens(await self._ask("/tokenize", text)))

    async def tokenize(self, text: str) -> list[int]:
        """Return the upstream's ids. Raises ``BadRequestError`` where it offers no tokenizer."""
        names = {"prompt": text, "add_special_tokens": False}  # vLLM's
        names |= {"content": text, "add_special": False, "parse_special": False}  # llama.cpp's
        return _tokens(await self._ask("/tokenize", {"model": self._config.model, **names}))

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text. Raises ``BadRequestError`` where the upstream offers no tokenizer."""
        body = {"model": self._config.model, "tokens": list(tokens)}
        answer = await self._ask("/detokenize", body)
        text = answer.prompt if answer.content is None else answer.content
        return _no_tokenizer() if text is None else text

    async def ask(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Return the whole answer to a request. Raises what ``generate`` raises."""
        response = await self._send(path, body)
        try:
            await _raise_for_status(response)
            return await response.aread()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        finally:
            await response.aclose()

    def status(self) -> EngineStatus:
        """Return what is known without asking the upstream."""
        return EngineStatus(
            state="ready",
            slots=self.slots,
            busy=self._busy,
            restarts=0,
            window=self.window,
            detail=f"upstream {self._client.base_url}",
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Send until the upstream begins to answer; nothing is sent twice after that."""
        content, headers = orjson.dumps(body), {"Content-Type": "application/json"}
        for attempt in range(self._retries + 1):
            request = self._client.build_request("POST", path, content=content, headers=headers)
            try:
                return await self._client.send(request, stream=True)
            except (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError) as error:
                if attempt == self._retries:
                    raise _unreachable(error) from error
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
        raise AssertionError  # the last attempt returns or raises

    async def _ask(self, path: str, body: Mapping[str, Any]) -> TokenizerAnswer:
        """Call what lies beside ``/v1`` on servers that offer a tokenizer."""
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        response = await self._send(root + path, body)
        try:
            if response.status_code in {401, 404, 405, 501}:
                _no_tokenizer()
            await _raise_for_status(response)
            return msgspec.json.decode(await response.aread(), type=TokenizerAnswer)
        except msgspec.MsgspecError:
            _no_tokenizer()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        finally:
            await response.aclose()


def _authorization(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    key = os.environ.get(variable)
    if not key:
        raise EngineLoadError(
            f"The environment variable {variable} (api_key_env) with the upstream's key is not set."
        )
    return {"Authorization": f"Bearer {key}"}


async def _events(response: httpx.Response) -> AsyncGenerator[Sequence[TextEvent], None]:
    """Yield the events of each read together, and the end last."""
    reader = EventReader()
    async for datas in _frames(response):
        events = [event for data in datas if data != _END for event in _read(reader, data)]
        if events:
            yield events
        if _END in datas:
            break
    done = reader.end()
    if done is not None:
        yield [done]
    elif reader.finished:
        raise InternalServerError(
            "The upstream sent no usage: it must honour stream_options.include_usage.",
            retryable=False,
        )
    else:
        raise ServiceUnavailableError("The upstream ended its answer before it was complete.")


def _read(reader: EventReader, data: bytes) -> Iterator[TextEvent]:
    chunk = read_chunk(data)
    if chunk.error is not None:
        raise _given_up(chunk.error)
    yield from reader.read(chunk)


async def _frames(response: httpx.Response) -> AsyncGenerator[list[bytes], None]:
    """Yield the data of all events that each read completes."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        datas = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        if datas:
            yield datas
    if rest.startswith(b"data:"):
        yield [rest[5:].strip()]


async def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    if status < 400:
        return
    fields = read_error(await response.aread())
    message = fields.get("message") or f"The upstream answered with status {status}."
    if status in {401, 403}:
        raise InternalServerError("The upstream refused the server's key.", retryable=False)
    if status == 429:
        raise RateLimitError(message, code=fields.get("code"), retry_after=_retry_after(response))
    if status >= 500:
        raise ServiceUnavailableError(
            f"The upstream failed with status {status}.", retry_after=_retry_after(response)
        )
    kind = _STATUSES.get(status, BadRequestError)
    raise kind(message, param=fields.get("param"), code=fields.get("code"))


def _given_up(error: dict[str, Any] | str) -> APIError:
    """Map an error in the middle of a stream."""
    fields = error_fields(error)
    message = fields.get("message") or "The upstream gave up in the middle of its answer."
    if fields.get("code") == "context_length_exceeded":
        return BadRequestError(message, param=fields.get("param"), code=fields["code"])
    return ServiceUnavailableError(message, code=fields.get("code"))


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):  # absent, or a date
        return None


def _unreachable(error: httpx.HTTPError) -> ServiceUnavailableError:
    if isinstance(error, httpx.TimeoutException):
        return ServiceUnavailableError("The upstream did not answer in time.")
    return ServiceUnavailableError("The upstream can't be reached or broke the connection off.")


def _tokens(answer: TokenizerAnswer) -> list[int]:
    return _no_tokenizer() if answer.tokens is None else answer.tokens


def _no_tokenizer() -> NoReturn:
    raise BadRequestError(
        "The upstream that serves this model offers no tokenizer, so token ids can't be used."
    )
