"""How fast an engine is: tokens per second of the time in which it worked."""

from collections.abc import Callable
from time import monotonic

_REMEMBERED_S = 60.0


class Speed:
    """Counts tokens and the time at work; what is older than a minute or two of work fades."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._at_work = 0
        self._since = 0.0
        self._seconds = 0.0
        self._tokens = 0.0

    def begin(self) -> None:
        """Note that one more answer is being worked on."""
        self._settle()
        self._at_work += 1

    def end(self) -> None:
        """Note that an answer has ended."""
        self._settle()
        self._at_work -= 1

    def count(self, tokens: int) -> None:
        """Add tokens, of any of the answers."""
        self._tokens += tokens

    @property
    def tokens_per_s(self) -> float | None:
        """The speed of all answers together, None before the first token."""
        self._settle()
        return self._tokens / self._seconds if self._tokens and self._seconds else None

    def _settle(self) -> None:
        """Add the time since the last look, and let what is old weigh less."""
        now = self._clock()
        if self._at_work:
            self._seconds += now - self._since
        self._since = now
        if self._seconds > _REMEMBERED_S:
            self._seconds /= 2
            self._tokens /= 2
