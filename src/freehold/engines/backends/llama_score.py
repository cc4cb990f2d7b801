"""How likely a prompt's tokens are.

llama.cpp tells log-probabilities of what it draws, not of what it reads, and tells them as they
were before any bias. So each token is drawn in its turn, forced by a bias: one step per token, as
the tokens before it are still in the slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from freehold.engines.backends.llama_answer import failed
from freehold.engines.backends.llama_channel import Channel
from freehold.engines.backends.llama_wire import DrawnToken, read_line, token_logprob, write_request
from freehold.engines.base import TokenLogprob

_FORCE = 1e9


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of a prompt and the exact bytes that it stands for."""

    id: int
    bytes: bytes

    def scored(self, logprob: float = 0.0) -> TokenLogprob:
        return TokenLogprob(self.bytes.decode(errors="replace"), self.bytes, logprob)


class Scoring:
    """Scores one prompt in the slot of a channel.

    ``whole_token`` is some token of whole characters, ``vocabulary`` the number of all tokens.
    """

    def __init__(self, channel: Channel, *, whole_token: int, vocabulary: int) -> None:
        self._channel = channel
        self._whole_token = whole_token
        self._vocabulary = vocabulary

    async def run(self, pieces: Sequence[Piece], alternatives: int) -> list[TokenLogprob]:
        """Return every token with its figures; those of the first mean nothing."""
        ids = [piece.id for piece in pieces]
        return [piece.scored() for piece in pieces[:1]] + [
            await self._score(ids[:place], pieces[place], alternatives)
            for place in range(1, len(pieces))
        ]

    async def _score(self, before: list[int], piece: Piece, alternatives: int) -> TokenLogprob:
        drawn = await self._draw(before, piece.id, max(1, alternatives))
        if drawn is None:
            return await self._score_part(before, piece, alternatives)
        found = token_logprob(drawn, alternatives)
        return TokenLogprob(piece.scored().token, piece.bytes, found.logprob, found.top)

    async def _score_part(self, before: list[int], piece: Piece, alternatives: int) -> TokenLogprob:
        """Score a token that begins a character: the engine tells nothing until that is whole.

        So a token is drawn of which it does tell, and all that were possible in its place.
        """
        drawn = await self._draw(before, self._whole_token, self._vocabulary)
        if drawn is None:
            raise failed("it told nothing of a token")
        everything = token_logprob(drawn, self._vocabulary).top
        places = [at for at, other in enumerate(drawn.top_logprobs) if other.id == piece.id]
        if not places:
            raise failed("it told nothing of a token")
        logprob = everything[places[0]].logprob
        return TokenLogprob(piece.scored().token, piece.bytes, logprob, everything[:alternatives])

    async def _draw(self, before: list[int], token: int, alternatives: int) -> DrawnToken | None:
        """Draw ``token`` behind the others; None where the engine tells nothing of it."""
        body = {
            "prompt": before,
            "stream": True,
            "cache_prompt": True,
            "n_predict": 1,
            "n_probs": alternatives,
            "samplers": ["top_k"],
            "top_k": 1,
            "logit_bias": [[token, _FORCE]],
        }
        self._channel.start(write_request(body))
        found: DrawnToken | None = None
        while (lines := await self._channel.lines()) is not None:
            for line in map(read_line, lines):
                if line.error is not None:
                    raise failed(line.error.message)
                told = [one for c in line.choices if c.logprobs for one in c.logprobs.content]
                found = told[0] if told else found
        return found


def without_marks(
    scored: Sequence[TokenLogprob], prompt: str | Sequence[int]
) -> list[TokenLogprob]:
    """Leave out what is not of the text: a token that marks its beginning, a blank put before it.

    Both are habits of some vocabularies.
    """
    tokens = list(scored)
    if not isinstance(prompt, str):
        return tokens
    text = prompt.encode()
    if tokens and not text.startswith(tokens[0].bytes) and not _blank_before(tokens[0], text):
        tokens = tokens[1:]
    if tokens and _blank_before(tokens[0], text):
        first = tokens[0]
        tokens[0] = replace(first, token=first.token[1:], bytes=first.bytes[1:])
    return tokens


def _blank_before(token: TokenLogprob, text: bytes) -> bool:
    return token.bytes.startswith(b" ") and not text.startswith(b" ")
