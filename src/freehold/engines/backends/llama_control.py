"""llama.cpp's HTTP endpoints on its private Unix socket: tokens and text."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import msgspec

from freehold.engines.backends.llama_channel import EngineLostError
from freehold.engines.backends.llama_score import Piece
from freehold.engines.backends.llama_wire import EnginePrompt, Shown

_TIMEOUT_S = 60.0
# A text of more characters a token than any language has is counted slice by slice.
_MOST_OF_A_TOKEN = 16
_SLICE = 50_000


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Piece(msgspec.Struct):
    id: int
    piece: str | list[int]


class _Pieces(msgspec.Struct):
    tokens: list[_Piece]


class _Content(msgspec.Struct):
    content: str


class _Count(msgspec.Struct):
    input_tokens: int


class Control:
    """A client of one child. Every call raises ``EngineLostError`` when that is gone.

    A text that takes far more than ``enough`` tokens may be counted no further than that.
    """

    def __init__(self, socket: Path, marker: str = "", *, enough: int | None = None) -> None:
        self._marker = marker
        self._enough = enough
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(socket),
                limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
            ),
            base_url="http://engine",
            timeout=_TIMEOUT_S,
        )

    async def tokenize(self, text: str) -> list[int]:
        """Return the tokens of text in which nothing is a control token."""
        body = {"content": text, "add_special": False, "parse_special": False}
        return msgspec.json.decode(await self._post("/tokenize", body), type=_Tokens).tokens

    async def tokenize_prompt(self, prompt: str | Sequence[str | int]) -> list[int]:
        """Return the tokens of a prompt exactly as a request with it would be read."""
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return msgspec.json.decode(await self._post("/tokenize", body), type=_Tokens).tokens

    async def adds_start(self) -> bool:
        """Return whether the tokenizer puts a token in front that marks a beginning."""
        return await self.tokenize_prompt("a") != await self.tokenize("a")

    async def count(self, prompt: EnginePrompt) -> int:
        """Return how many tokens a prompt takes exactly as a request with it would be read.

        A book is not read to its end, which would take minutes: more than ``enough`` is returned.
        """
        if counted := await self._count_far(prompt):
            return counted
        if isinstance(prompt, Shown):
            return await self._count_shown(prompt)
        return len(await self.tokenize_prompt(prompt))

    async def _count_far(self, prompt: EnginePrompt) -> int | None:
        """Return a number above ``enough`` for a prompt that is far too long, else None."""
        texts = list(_texts(prompt))
        if self._enough is None or sum(map(len, texts)) <= self._enough * _MOST_OF_A_TOKEN:
            return None
        counted = 0
        for text in texts:
            for start in range(0, len(text), _SLICE):
                counted += len(await self.tokenize(text[start : start + _SLICE]))
                if counted > self._enough:
                    return counted
        return None

    async def _count_shown(self, prompt: Shown) -> int:
        """Count through the child's own template, which writes one message as it stands."""
        texts = prompt.prompt_string.split(self._marker)
        parts: list[dict[str, Any]] = []
        for text, data in zip_longest(texts, prompt.multimodal_data):
            parts += [{"type": "text", "text": text}] if text else []
            if data is not None:
                url = {"url": f"data:image/png;base64,{data}"}
                parts.append({"type": "image_url", "image_url": url})
        body = {"messages": [{"role": "user", "content": parts}]}
        answer = await self._post("/v1/chat/completions/input_tokens", body)
        return msgspec.json.decode(answer, type=_Count).input_tokens

    async def pieces(self, prompt: EnginePrompt) -> list[Piece]:
        """Return the tokens of a prompt with their bytes, those included that mark its start."""
        body = {"content": prompt, "add_special": True, "parse_special": True, "with_pieces": True}
        tokens = msgspec.json.decode(await self._post("/tokenize", body), type=_Pieces).tokens
        return [Piece(token.id, _bytes(token.piece)) for token in tokens]

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        body = {"tokens": list(tokens)}
        return msgspec.json.decode(await self._post("/detokenize", body), type=_Content).content

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        try:
            answer = await self._http.post(path, content=msgspec.json.encode(body))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise EngineLostError from error
        return answer.content


def _texts(prompt: EnginePrompt) -> Iterator[str]:
    if isinstance(prompt, Shown):
        yield prompt.prompt_string
    elif isinstance(prompt, str):
        yield prompt
    else:
        yield from (piece for piece in prompt if isinstance(piece, str))


def _bytes(piece: str | list[int]) -> bytes:
    """Return a token's bytes: the engine lists them where they are no text by themselves."""
    return piece.encode() if isinstance(piece, str) else bytes(piece)
