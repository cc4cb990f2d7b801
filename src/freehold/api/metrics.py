"""Prometheus figures: requests, latency, tokens, and the engines' queues and slots."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from freehold.engines.base import EngineStatus
from freehold.jobs.worker import Figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Statuses = Callable[[], Mapping[str, EngineStatus]]


class Metrics:
    """The counters of one server.

    ``statuses`` gives each model's engine status, ``jobs`` the figures of durable jobs.
    """

    def __init__(self, statuses: Statuses, jobs: Callable[[], Figures] | None = None) -> None:
        self._registry = CollectorRegistry()
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "freehold_requests",
            "Requests answered",
            ["operation", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "freehold_request_seconds",
            "Time from the request's arrival to the last byte of its answer",
            ["operation"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "freehold_tokens", "Tokens used", ["model", "direction"], registry=self._registry
        )
        self._registry.register(_Engines(statuses))
        if jobs is not None:
            self._registry.register(_Jobs(jobs))

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        requests, latency = self._children(operation, status)
        requests.inc()
        latency.observe(seconds)

    def _children(self, operation: str, status: int) -> tuple[Counter, Histogram]:
        """Return the figures of an operation and status; the library's own look-up is slow."""
        found = self._known.get((operation, status))
        if found is None:
            found = self._requests.labels(operation, str(status)), self._latency.labels(operation)
            self._known[operation, status] = found
        return found

    def tokens(self, model: str, counts: Mapping[str, int]) -> None:
        """Count tokens of ``model`` by direction (input, output, cached)."""
        for direction, count in counts.items():
            if count:
                self._tokens.labels(model, direction).inc(count)

    def render(self) -> bytes:
        """Return everything in Prometheus's text form."""
        return generate_latest(self._registry)


class _Engines(Collector):
    """Reads the engines' figures when they are asked for."""

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry must not ask the engines before they exist."""
        return []

    def collect(self) -> Iterable[Metric]:
        families = {
            name: GaugeMetricFamily(f"freehold_engine_{name}", text, labels=["model"])
            for name, text in _FIGURES.items()
        }
        state = GaugeMetricFamily(
            "freehold_engine_state", "1 for its state", labels=["model", "state"]
        )
        serves = GaugeMetricFamily(
            "freehold_engine_serves", "1 for each id that was asked for", labels=["model", "id"]
        )
        for model, status in self._statuses().items():
            for name, figure in _figures(status).items():
                families[name].add_metric([model], figure)
            state.add_metric([model, status.state], 1)
            for model_id in status.serves:
                serves.add_metric([model, model_id], 1)
        return [*families.values(), state, serves]


class _Jobs(Collector):
    """Reads the figures of durable jobs when they are asked for."""

    def __init__(self, jobs: Callable[[], Figures]) -> None:
        self._jobs = jobs

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry must not ask before there are jobs."""
        return []

    def collect(self) -> Iterable[Metric]:
        figures = self._jobs()
        queued = GaugeMetricFamily("freehold_jobs_queued", "Jobs that wait", labels=["kind"])
        running = GaugeMetricFamily(
            "freehold_jobs_running", "Jobs that run in this process", labels=["kind"]
        )
        ended = CounterMetricFamily(
            "freehold_jobs_ended", "Jobs that ended in this process", labels=["kind", "state"]
        )
        for family, counts in ((queued, figures.queued), (running, figures.running)):
            for kind, count in counts.items():
                family.add_metric([kind], count)
        for labels, count in figures.ended.items():
            ended.add_metric(labels, count)
        return [queued, running, ended]


_FIGURES = {
    "ready": "1 while the engine can answer",
    "slots": "Generations that can run at once",
    "busy": "Generations that run now",
    "queued": "Requests that wait for a slot",
    "restarts": "Times the engine was started again",
    "resident_bytes": "Memory of the engine's process",
    "tokens_per_second": "Speed of late while at work, all slots together",
}


def _figures(status: EngineStatus) -> dict[str, float]:
    return {
        "ready": float(status.state == "ready"),
        "slots": status.slots,
        "busy": status.busy,
        "queued": status.queued,
        "restarts": status.restarts,
        "resident_bytes": status.resident_bytes or 0,
        "tokens_per_second": status.tokens_per_s or 0,
    }
