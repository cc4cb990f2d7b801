"""One turn of the model: its words and calls are told as they come, then written down."""

from collections.abc import Sequence
from typing import Any

from freehold.engines.base import TextDelta
from freehold.resources.chat.choice import Call, CallPiece, Choice, Piece
from freehold.resources.threads import stream, tool_offer
from freehold.resources.threads.run_journal import Journal
from freehold.resources.threads.stream import TextDeltas
from freehold.resources.threads.tool_code_pieces import CodePieces
from freehold.resources.threads.tool_offer import Offer

Part = dict[str, Any]


class Turn:
    """Takes the pieces of one answer. ``pictures`` are files that its message begins with."""

    def __init__(
        self, journal: Journal, choice: Choice, offer: Offer, pictures: Sequence[str]
    ) -> None:
        self._journal = journal
        self._choice = choice
        self._offer = offer
        self._pictures = list(pictures)
        self._text: list[str] = []
        self._deltas: TextDeltas | None = None
        self._step_id: str | None = None
        self._code: dict[int, CodePieces] = {}
        self.told = 0  # tokens that were counted for a message before the calls

    async def take(self, pieces: Sequence[Piece]) -> None:
        """Tell of pieces."""
        for piece in pieces:
            if isinstance(piece, TextDelta):
                await self._take_text(piece.text)
            else:
                await self._take_call(piece)

    def content(self) -> list[Part]:
        """Return the parts of the message as far as it is written."""
        parts: list[Part] = [_picture(file_id) for file_id in self._pictures]
        if self._text or not parts:
            parts.append(
                {"type": "text", "text": {"value": "".join(self._text), "annotations": []}}
            )
        return parts

    @property
    def writing(self) -> bool:
        """Whether a message has begun that has not ended."""
        return self._deltas is not None

    async def open_message(self) -> TextDeltas:
        """Begin the message, unless that has been done."""
        if self._deltas is None:
            message_id = await self._journal.open_message()
            self._deltas = TextDeltas(message_id, len(self._pictures))
            for place, file_id in enumerate(self._pictures):
                part = {"index": place, **_picture(file_id)}
                self._journal.send(stream.message_delta(message_id, [part]))
        return self._deltas

    def calls(self) -> list[Call]:
        """Return the calls that were made."""
        return self._choice.calls

    async def _take_text(self, text: str) -> None:
        if not text:
            return
        deltas = await self.open_message()
        self._text.append(text)
        self._journal.send(deltas.piece(text))

    async def _take_call(self, piece: CallPiece) -> None:
        if self._deltas is not None:
            self.told = self._choice.tokens
            await self._journal.close_message(self.content(), (0, self.told))
            self._deltas = None
        if self._step_id is None:
            self._step_id = await self._journal.open_calls()
        for call in self._call_deltas(piece):
            self._journal.send(stream.step_delta(self._step_id, [{"index": piece.index, **call}]))

    def _call_deltas(self, piece: CallPiece) -> list[Part]:
        called = self._choice.calls[piece.index]
        kind = self._offer.kind(called.name)
        deltas: list[Part] = []
        if piece.call is not None:
            deltas.append(tool_offer.begun(kind, called.id, called.name))
        if kind == "function" and piece.arguments:
            deltas.append({"type": kind, "function": {"arguments": piece.arguments}})
        if kind == "code_interpreter":
            code = self._code.setdefault(piece.index, CodePieces()).feed(piece.arguments)
            if code:
                deltas.append({"type": kind, "code_interpreter": {"input": code}})
        return deltas


def _picture(file_id: str) -> Part:
    return {"type": "image_file", "image_file": {"file_id": file_id}}
