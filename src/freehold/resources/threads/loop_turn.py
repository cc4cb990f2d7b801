"""One turn of the model: its words and calls are told as they come, then written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from freehold.engines.base import TextDelta
from freehold.resources.chat.choice import CallPiece, Choice, Piece
from freehold.resources.threads import stream, tool_offer, tool_paths
from freehold.resources.threads.citation import Citer, Said, Source
from freehold.resources.threads.run_journal import Journal
from freehold.resources.threads.stream import TextDeltas
from freehold.resources.threads.tool_code_pieces import CodePieces
from freehold.resources.threads.tool_offer import Offer

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer may point to: passages, files by their names, and pictures to begin with."""

    sources: Sequence[Source]
    files: Mapping[str, str]
    pictures: Sequence[str]


class Turn:
    """Takes the pieces of one answer.

    ``told`` counts the tokens of a message that came before the calls: it has its own step.
    """

    def __init__(self, journal: Journal, choice: Choice, offer: Offer, material: Material) -> None:
        self.told = 0
        self._journal = journal
        self._choice = choice
        self._offer = offer
        self._material = material
        self._citer = Citer(material.sources)
        self._text: list[str] = []
        self._annotations: list[Part] = []
        self._deltas: TextDeltas | None = None
        self._step_id: str | None = None
        self._code: dict[int, CodePieces] = {}

    async def take(self, pieces: Sequence[Piece]) -> None:
        """Tell of pieces."""
        for piece in pieces:
            if isinstance(piece, TextDelta):
                if piece.text:
                    await self._say(self._citer.feed(piece.text))
            else:
                await self._take_call(piece)

    async def finish(self) -> list[Part]:
        """Tell of what is left of the message, and return its parts."""
        await self._open_message()
        await self._say(self._citer.finish())
        links = tool_paths.unnamed("".join(self._text), self._material.files)
        if links:
            await self._say([Said(links)])
        named = tool_paths.annotations("".join(self._text), self._material.files)
        for annotation in named:
            await self._say([Said("", annotation)])
        return self.content()

    def content(self) -> list[Part]:
        """Return the parts of the message as far as it is written."""
        parts: list[Part] = [_picture(file_id) for file_id in self._material.pictures]
        if self._text or not parts:
            text = {"value": "".join(self._text), "annotations": self._annotations}
            parts.append({"type": "text", "text": text})
        return parts

    @property
    def writing(self) -> bool:
        """Whether a message has begun that has not ended."""
        return self._deltas is not None

    async def _open_message(self) -> TextDeltas:
        if self._deltas is None:
            message_id = await self._journal.open_message()
            self._deltas = TextDeltas(message_id, len(self._material.pictures))
            for place, file_id in enumerate(self._material.pictures):
                part = {"index": place, **_picture(file_id)}
                self._journal.send(stream.message_delta(message_id, [part]))
        return self._deltas

    async def _say(self, said: Sequence[Said]) -> None:
        for piece in said:
            deltas = await self._open_message()
            if piece.text:
                self._text.append(piece.text)
            if piece.annotation is None:
                self._journal.send(deltas.piece(piece.text))
                continue
            numbered = {"index": len(self._annotations), **piece.annotation}
            self._annotations.append(piece.annotation)
            self._journal.send(deltas.annotated(piece.text, numbered))

    async def _take_call(self, piece: CallPiece) -> None:
        if self._deltas is not None:
            self.told = self._choice.tokens
            await self._journal.close_message(await self.finish(), (0, self.told))
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
        if kind == "function" and piece.call is not None:
            deltas[0]["function"]["arguments"] = piece.arguments
        elif kind == "function":
            deltas.append({"type": kind, "function": {"arguments": piece.arguments}})
        if kind == "code_interpreter":
            code = self._code.setdefault(piece.index, CodePieces()).feed(piece.arguments)
            if code:
                deltas.append({"type": kind, "code_interpreter": {"input": code}})
        return deltas


def _picture(file_id: str) -> Part:
    return {"type": "image_file", "image_file": {"file_id": file_id}}
