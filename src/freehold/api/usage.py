"""What a request used, as the administration API will report it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One answered request. Times are unix seconds, ``seconds`` are of audio."""

    at: int
    project_id: str
    api_key_id: str
    user_id: str | None
    model: str
    endpoint: str
    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    input_cached_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    images: int = 0
    image_size: str | None = None
    image_source: str | None = None
    characters: int = 0
    seconds: float = 0.0
    batch: bool = False


class UsageLedger(Protocol):
    """Keeps usage; implemented by the organization group."""

    def record(self, usage: UsageRecord) -> None:
        """Accept a record at once; it is on disk within a second."""
        ...
