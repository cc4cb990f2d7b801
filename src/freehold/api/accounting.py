"""What an answer in text used: counted once, whether or not somebody waited for its end."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from freehold.api.context import Context


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of a request and of all that was made for it."""

    prompt: int
    completion: int
    cached: int = 0
    accepted: int = 0
    rejected: int = 0

    def usage(self) -> dict[str, Any]:
        """Return the ``usage`` object with both details."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": self.accepted,
                "rejected_prediction_tokens": self.rejected,
            },
        }


class Account:
    """Settles the ``estimate`` that a request took of its limits.

    As a context manager around the answer it settles at the end what was not settled inside: the
    prompt as estimated, and the tokens ``written`` so far. Where there are none nothing is charged.
    """

    def __init__(self, context: Context, estimate: int, written: Callable[[], int]) -> None:
        self._context = context
        self._estimate = estimate
        self._written = written
        self._settled = False

    def __enter__(self) -> None:
        """Begin; there is nothing to do yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._settled and (written := self._written()):
            self.settle(Counts(self._estimate, written))

    def settle(self, counts: Counts) -> None:
        """Record what was used and correct the estimate."""
        self._settled = True
        self._context.used(
            taken=self._estimate,
            input_tokens=counts.prompt,
            output_tokens=counts.completion,
            cached=counts.cached,
        )
