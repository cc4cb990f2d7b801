"""The composition root: from settings to a server. The only place that knows every part."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from freehold import resources
from freehold.api import logs
from freehold.api.app import API
from freehold.api.context import Services
from freehold.api.fetch import Fetcher, PinnedTransport, anywhere, is_public
from freehold.api.limits import LocalRateLimits
from freehold.api.metrics import Metrics
from freehold.api.operation import Router
from freehold.api.tasks import bound
from freehold.core.runtime import RuntimeFolder
from freehold.core.settings import Settings
from freehold.data import limits
from freehold.data.models import catalogue
from freehold.documents.reader import Reader
from freehold.engines.base import EngineLoadError
from freehold.engines.registry import Registry
from freehold.engines.viewer import Viewer
from freehold.engines.weights import WeightsStore
from freehold.jobs.crew import Crew
from freehold.jobs.queue import Jobs
from freehold.resources.organization import service as organization
from freehold.resources.organization.keyring import DatabaseKeyRing
from freehold.resources.organization.ledger import DatabaseUsageLedger
from freehold.resources.organization.ratelimits import RateLimitFigures
from freehold.resources.organization.service import FirstKeys
from freehold.sandbox.pool import Sandboxes
from freehold.storage.blobs_open import open_blobs
from freehold.storage.open import open_database, open_events
from freehold.storage.vectors import Vectors

log = logging.getLogger("freehold")

# What a browser page may read of an answer.
_EXPOSED = ["x-request-id", "openai-processing-ms", "openai-version", "retry-after"]


class Server:
    """The whole server as one ASGI application; ``start`` before the first request, then ``stop``.

    ``first_keys`` are there after the very first start only.
    """

    def __init__(
        self, services: Services, ledger: DatabaseUsageLedger, runtime: RuntimeFolder
    ) -> None:
        self.first_keys: FirstKeys | None = None
        self.registry = services.registry
        self._services = services
        self._ledger = ledger
        self._runtime = runtime
        tasks = bound(resources, services)
        self._crew = Crew(services.settings, services.jobs, tasks, services.events)
        self.api = API(
            router=Router(resources),
            services=services,
            keys=DatabaseKeyRing(services.database),
            metrics=Metrics(self.registry.statuses, self._crew.figures),
            ready=self.problems,
        )
        self.asgi = _for_browsers(self.api, services.settings.cors_origins)
        self._loading: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Make what the first start makes and begin to load the default model."""
        self.first_keys = await organization.bootstrap(self._services.database)
        self._ledger.start()
        self._services.events.start()
        self._crew.start()
        self._loading = asyncio.create_task(self._load_default())

    async def stop(self) -> None:
        """End what runs, write down what is left, let go of everything. Twice does no harm."""
        if self._stopped:
            return
        self._stopped = True
        if self._loading:
            self._loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loading
        await self._crew.stop()
        await self._services.events.stop()
        await self._services.vectors.close()
        await self._services.sandboxes.close()
        await self.registry.close()
        await self._services.fetcher.close()
        await self._ledger.close()
        await self._services.database.close()
        self._runtime.remove()

    async def problems(self) -> Mapping[str, str]:
        """Return what keeps the server from answering, by part; nothing when it is ready."""
        wrong: dict[str, str] = {}
        try:
            await self._services.database.read(lambda c: c.execute(text("SELECT 1")).scalar())
        except SQLAlchemyError as error:
            wrong["database"] = type(error).__name__
        if self._loading is None or not self._loading.done():
            wrong["engine"] = "the default model is being loaded"
        else:
            try:
                await self.registry.ensure_default_loaded()
            except EngineLoadError as error:
                wrong["engine"] = str(error)
        return wrong

    async def _load_default(self) -> None:
        try:
            await self.registry.ensure_default_loaded()
        except EngineLoadError as error:
            log.error(  # noqa: TRY400 - the message says what to do, a stack trace does not
                "the default model can't be loaded: %s", error
            )


def _fetcher(settings: Settings) -> Fetcher:
    vision = settings.vision
    allowed = anywhere if vision.allow_private else is_public
    return Fetcher(
        PinnedTransport(allowed=allowed),
        timeout_s=vision.fetch_timeout_s,
        at_once=limits.figure("vision", "fetches_at_once"),
        redirects=limits.figure("vision", "redirects"),
    )


def _for_browsers(api: API, origins: Sequence[str]) -> ASGIApp:
    """Return the application so that pages of these origins may use it."""
    if not origins:
        return api
    return CORSMiddleware(
        api,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )


def server_files(settings: Settings, config_file: Path | None) -> list[Path]:
    """Return what no code that a model writes may see: state, and settings with their secrets."""
    return [settings.state_dir, *([config_file] if config_file else [])]


def build(settings: Settings, config_file: Path | None = None) -> Server:
    """Put a server together from settings and the file they are from, if they are from one.

    Raises where the database can't be used.
    """
    logs.configure(settings.log_level)
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(settings.database_address)
    runtime = RuntimeFolder.take()
    weights = WeightsStore(settings.state_dir)
    ledger = DatabaseUsageLedger(database)
    services = Services(
        settings=settings,
        database=database,
        registry=Registry(catalogue(), settings, weights, runtime.path),
        limits=LocalRateLimits(RateLimitFigures(database), enforced=settings.rate_limits),
        usage=ledger,
        fetcher=_fetcher(settings),
        viewer=Viewer(weights),
        jobs=Jobs(database),
        blobs=open_blobs(settings.blobs_url, settings.state_dir / "blobs"),
        reader=Reader(),
        vectors=Vectors(
            database, settings.vector_cache_mb * 1_000_000, settings.vector_approximate_from
        ),
        events=open_events(settings.database_address),
        sandboxes=Sandboxes(settings.interpreter, server_files(settings, config_file)),
    )
    return Server(services, ledger, runtime)
