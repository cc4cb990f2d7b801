"""Where text ends early: before a stop string, or in a loop that a weak model can't leave."""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from freehold.engines.base import TextDelta

# So many words that come so many times in a stretch are a loop and no figure of speech.
_LOOPS = ((6, 4), (12, 3))
_STRETCH = 250
_WORD = re.compile(r"[^\W_]+(?=[\W_])")
_FENCE = "```"


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
    """Tells when words go round in circles: the same come again and again in one stretch.

    Programs are no words, so nothing counts in a fenced block.
    """

    def __init__(self) -> None:
        self._unread = ""
        self._fenced = False
        self._words: deque[str] = deque(maxlen=_STRETCH)

    def loops(self, more: str) -> bool:
        """Add text, and return whether it has begun to loop."""
        self._unread += more
        self._skip_fences()
        end = 0
        for word in _WORD.finditer(self._unread):
            end = word.end()
            self._words.append(word[0].lower())
            if not self._fenced and self._again():
                return True
        self._unread = self._unread[end:]
        return False

    def _skip_fences(self) -> None:
        *closed, self._unread = self._unread.split(_FENCE)
        if closed:
            self._fenced ^= len(closed) % 2 == 1
            self._words.clear()

    def _again(self) -> bool:
        words = list(self._words)
        return any(_times(words, size) >= times for size, times in _LOOPS)


def _times(words: list[str], size: int) -> int:
    """Return how often the last words, so many, are among these; 0 for figures alone."""
    last = words[-size:]
    if len(last) < size or not any(map(str.isalpha, last)):
        return 0
    starts = range(len(words) - size + 1)
    return sum(words[at] == last[0] and words[at : at + size] == last for at in starts)
