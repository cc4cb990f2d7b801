"""Where text ends early: before a stop string, or in a loop that a weak model can't leave."""

from collections.abc import Sequence
from dataclasses import replace

from freehold.engines.base import TextDelta

# What comes so often in a row, and is so long together, is a loop and no figure of speech.
_LOOPS = ((3, 60), (2, 200))
_LOOKED_BACK = 1200
_END = 8


class StopFilter:
    """Cuts a stream of text before the first stop string, wherever token borders fall."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held: list[TextDelta] = []
        self.stopped = False

    def feed(self, delta: TextDelta) -> list[TextDelta]:
        """Return what can be sent now. Sets ``stopped`` once a stop string was met."""
        if not self._stops:
            return [delta]
        self._held.append(delta)
        text = "".join(held.text for held in self._held)
        found = min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=-1)
        if found >= 0:
            self.stopped = True
            return self._cut(found)
        return self._release(len(text) - self._possible_start(text))

    def finish(self) -> list[TextDelta]:
        """Return what was held back when the text ended by itself."""
        held, self._held = self._held, []
        return held

    def _possible_start(self, text: str) -> int:
        """Return the length of the longest end of ``text`` that begins a stop string."""
        return max(
            (
                length
                for stop in self._stops
                for length in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:length])
            ),
            default=0,
        )

    def _release(self, safe: int) -> list[TextDelta]:
        """Let go of the pieces that lie before ``safe`` as a whole."""
        count = end = 0
        for piece in self._held:
            end += len(piece.text)
            if end > safe:
                break
            count += 1
        ready, self._held = self._held[:count], self._held[count:]
        return ready

    def _cut(self, at: int) -> list[TextDelta]:
        """Return the pieces before ``at``; the one across it is shortened."""
        ready: list[TextDelta] = []
        for piece in self.finish():
            if at <= 0:
                break
            ready.append(piece if len(piece.text) <= at else replace(piece, text=piece.text[:at]))
            at -= len(piece.text)
        return ready


class LoopWatch:
    """Tells when text goes round in circles: it ends with the same words again and again."""

    def __init__(self) -> None:
        self._text = ""

    def loops(self, more: str) -> bool:
        """Add text, and return whether it now ends in a loop."""
        self._text = (self._text + more)[-_LOOKED_BACK:]
        end = self._text[-_END:]
        at = len(self._text) - len(end)
        while (at := self._text.rfind(end, 0, at + len(end) - 1)) >= 0:
            if self._repeats(len(self._text) - len(end) - at):
                return True
        return False

    def _repeats(self, length: int) -> bool:
        """Return whether the text ends with pieces of this length that are all the same."""
        piece = self._text[-length:]
        if not any(map(str.isalpha, piece)):
            return False  # a line, a table, a row of digits
        for times, least in _LOOPS:
            copies = max(times, -(-least // length))
            if self._text.endswith(piece * copies):
                return True
        return False
