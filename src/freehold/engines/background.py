"""Work that gives way: a generation that nobody waits for leaves its slot to one that is awaited.

Whoever starts such work sets ``guest`` in its context; the holders look there.
"""

from collections.abc import Callable
from contextvars import ContextVar


class Guest:
    """One piece of background work. ``leave`` ends it; it is called once, if at all."""

    def __init__(self, leave: Callable[[], object] | None = None) -> None:
        """Without ``leave`` the work waits behind everybody, but may finish once it runs."""
        self.leave = leave
        self.sent_away = False

    def give_way(self) -> None:
        """End the work."""
        if self.leave is not None and not self.sent_away:
            self.sent_away = True
            self.leave()


guest: ContextVar[Guest | None] = ContextVar("guest", default=None)
