"""What operators watch, in the text format of Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from engine.interface.engine import EngineState, EngineStatus
from protocol.events import (
    EVENTS,
    FACTS,
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
)
from service.clock import seconds_between
from service.records import JobRecord

# A second series for the birthday of each series: half of the text, and nobody looks at it.
disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_JOB_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_HTTP_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 60)
_COMMIT_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2)
_BATCH_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Where present values are read when somebody asks for the metrics. Each must be quick."""

    queued: Callable[[], Mapping[str, int]]
    """Waiting jobs by class."""
    engine: Callable[[], EngineState]
    subscribers: Callable[[], int]
    sockets: Callable[[], int]
    deepest_buffer: Callable[[], int]
    """Events waiting in the fullest subscriber's buffer."""
    rows: Callable[[], Mapping[tuple[str, str], int]] = dict
    """Of the gateway in charge of a cluster: jobs no worker has been given yet, by class and model."""


class Metrics:
    """The metrics of one server, in a registry of its own: two servers in one process do not mix.

    For the event loop only.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter, histogram = self._counter, self._histogram
        self._accepted = counter("jobs_accepted", "Jobs accepted.", "task")
        self._ended = counter("jobs_ended", "Jobs that ended, by how they did.", "task", "end")
        self._requeued = counter("jobs_requeued", "Times a running job went back to the queue.", "task")
        self._duration = histogram("job_duration_seconds", "From start to end of a job.", _JOB_BUCKETS_S, "task")
        self._queue_wait = histogram(
            "job_queue_wait_seconds", "From acceptance to the first start of a job.", _JOB_BUCKETS_S, "class"
        )
        events = counter("events_published", "Events published.", "type", "kind")
        self._events = {kind: events.labels(kind, "fact" if body in FACTS else "hint") for kind, body in EVENTS.items()}
        self._lagged = counter("subscribers_lagged", "Subscribers cut off because they read too slowly.")
        self._requests = counter("http_requests", "HTTP requests and WebSockets.", "method", "route", "status")
        self._request_duration = histogram(
            "http_request_duration_seconds", "From the request to the end of its answer.", _HTTP_BUCKETS_S, "route"
        )
        self._request_series: dict[tuple[str, str, int], tuple[Counter, Histogram | None]] = {}
        self._commit = histogram("store_commit_duration_seconds", "One commit of the store.", _COMMIT_BUCKETS_S)
        self._batch = histogram("store_commit_facts", "Facts in one commit of the store.", _BATCH_BUCKETS)
        self._webhooks = counter("webhook_deliveries", "Attempts to deliver a webhook, by result.", "result")
        self._copies = counter("copies", "Outputs that were to be copied to an object store, by result.", "result")

    def watch(self, gauges: Gauges) -> None:
        """Read present values from `gauges` from now on. Once."""
        self._registry.register(_Present(gauges))

    def published(self, event: Event, record: JobRecord | None) -> None:
        """Count an event. A listener of `service.projection`."""
        self._events[event.type].inc()
        body = event.body
        if record is None or not event.is_fact:
            return
        task = record.task.value
        if isinstance(body, JobQueued):
            self._accepted.labels(task).inc()
        elif isinstance(body, JobStarted) and body.attempt == 1:
            group = "interactive" if record.is_interactive else "batch"
            self._queue_wait.labels(group).observe(seconds_between(record.created_at, event.at))
        elif isinstance(body, JobRequeued):
            self._requeued.labels(task).inc()
        elif isinstance(body, JobSucceeded | JobFailed | JobCancelled):
            self._ended.labels(task, event.type.removeprefix("job.")).inc()
            self._duration.labels(task).observe(body.duration_s)

    def observe_commit(self, duration_s: float, facts: int) -> None:
        """Count a commit of the store."""
        self._commit.observe(duration_s)
        self._batch.observe(facts)

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request.

        Args:
            route: the template, not the path: every value is a time series of its own.
        """
        series = self._request_series.get((method, route, status))
        if series is None:
            name = method if method in _METHODS else "other"
            # A socket is open as long as somebody watches; that is no slow request.
            duration = None if method == "WEBSOCKET" else self._request_duration.labels(route)
            series = self._requests.labels(name, route, str(status)), duration
            if name == method:  # made-up methods must not fill the memory
                self._request_series[method, route, status] = series
        counter, duration = series
        counter.inc()
        if duration is not None:
            duration.observe(duration_s)

    def observe_webhook(self, result: str) -> None:
        """Count an attempt to deliver: `delivered`, `failed` or `given_up`."""
        self._webhooks.labels(result).inc()

    def observe_copy(self, result: str) -> None:
        """Count an output that was to be copied: `stored` or `failed`."""
        self._copies.labels(result).inc()

    def socket_lagged(self) -> None:
        """Count a subscriber that was cut off."""
        self._lagged.inc()

    def render(self) -> tuple[bytes, str]:
        """The metrics as text, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"safelight_{name}", documentation, labels, registry=self._registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"safelight_{name}", documentation, labels, buckets=buckets, registry=self._registry)


class _Present(Collector):
    """Values that are read, not counted."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        queued = GaugeMetricFamily("safelight_jobs_queued", "Waiting jobs by class.", labels=["class"])
        for name, count in self._gauges.queued().items():
            queued.add_metric([name], count)
        yield queued
        row = GaugeMetricFamily("safelight_row_jobs", "Jobs no worker has been given yet.", labels=["class", "model"])
        for labels, count in self._gauges.rows().items():
            row.add_metric(list(labels), count)
        yield row
        engine = self._gauges.engine()
        status = GaugeMetricFamily("safelight_engine_status", "1 for the present status.", labels=["status"])
        for each in EngineStatus:
            status.add_metric([each.value], float(each is engine.status))
        yield status
        for name, documentation, value in (
            ("jobs_live", "Jobs the engine holds.", engine.live_jobs),
            ("engine_live_bytes", "Memory that live jobs are expected to take.", engine.live_bytes),
            ("engine_budget_bytes", "Memory that live jobs may take together.", engine.budget_bytes),
            ("subscribers", "Subscriptions to a job, to a key's jobs or to the server.", self._gauges.subscribers()),
            ("sockets", "Open WebSockets.", self._gauges.sockets()),
            ("deepest_buffer_events", "Events in the fullest subscriber's buffer.", self._gauges.deepest_buffer()),
        ):
            yield GaugeMetricFamily(f"safelight_{name}", documentation, value)
