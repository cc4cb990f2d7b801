"""What a handler is given beside the request's own fields."""

from dataclasses import dataclass, field

from freehold.api.auth import Principal
from freehold.api.fetch import Fetcher
from freehold.api.limits import RateLimits, Taken
from freehold.api.usage import UsageLedger, UsageRecord
from freehold.core import clock
from freehold.core.errors import RateLimitError
from freehold.core.settings import Settings
from freehold.documents.reader import Reader
from freehold.engines.registry import Registry
from freehold.engines.viewer import Viewer
from freehold.jobs.queue import Jobs
from freehold.sandbox.pool import Sandboxes
from freehold.storage.blobs import Blobs
from freehold.storage.database import Database
from freehold.storage.events import Events
from freehold.storage.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the house that resources use; put together in ``app.py``."""

    settings: Settings
    database: Database
    registry: Registry
    limits: RateLimits
    usage: UsageLedger
    fetcher: Fetcher
    viewer: Viewer
    jobs: Jobs
    blobs: Blobs
    events: Events
    sandboxes: Sandboxes
    reader: Reader
    vectors: Vectors


@dataclass(slots=True)
class Context:
    """One request: who asks, under which id, and what was taken of the limits."""

    services: Services
    principal: Principal
    operation_id: str
    request_id: str
    model: str | None = None
    taken: Taken | None = None
    tokens: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def project_id(self) -> str:
        """The project that owns what this request makes or may see."""
        project = self.principal.project_id
        if project is None:
            raise RuntimeError(f"{self.operation_id} needs a project key")
        return project

    async def take(self, model: str, tokens: int) -> None:
        """Take one request and ``tokens`` from this project's limits for ``model``."""
        self.model = model
        limits = self.services.limits
        try:
            self.taken = await limits.take(self.project_id, model, 1, tokens)
        except RateLimitError:
            self.taken = await limits.peek(self.project_id, model)  # for the headers of the refusal
            raise

    def used(self, *, taken: int, input_tokens: int, output_tokens: int, cached: int) -> None:
        """Record what an answer used and settle the estimate that was taken before it."""
        model = self.model or ""
        self.services.limits.settle(self.project_id, model, input_tokens + output_tokens - taken)
        self.tokens = {"input": input_tokens, "output": output_tokens, "cached": cached}
        self.services.usage.record(
            UsageRecord(
                at=clock.now(),
                project_id=self.project_id,
                api_key_id=self.principal.key_id,
                user_id=self.principal.user_id,
                model=model,
                endpoint=self.operation_id,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                input_cached_tokens=cached,
            )
        )
