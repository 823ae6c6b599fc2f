from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from engine.interface.engine import EngineState, EngineStatus
from protocol.errors import ErrorBody, ErrorCode
from protocol.events import Event, EventBody, JobFailed, JobQueued, JobRequeued, JobStarted, JobSucceeded, StepFinished
from protocol.requests import Previews, Priority, TaskName
from service.metrics import Gauges, Metrics
from service.records import JobRecord

TASK = TaskName.UPSCALE


def record(**fields: Any) -> JobRecord:
    given = {
        "id": "1", "key_id": "local", "task": TASK, "is_interactive": False, "priority": Priority.NORMAL,
        "previews": Previews.NONE, "input_pixels": 1, "created_at": "2026-01-01T00:00:00.000Z", "arrival": 1, **fields,
    }  # fmt: skip
    return JobRecord(**given)


def event(body: EventBody, *, at: str = "2026-01-01T00:00:02.500Z", n: int | None = None) -> Event:
    return Event(body, at=at, job_id="1", seq=1, n=n, attempt=1 if n else None)


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    content, media_type = metrics.render()
    assert media_type.startswith("text/plain")
    assert b"_created" not in content
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def test_a_job_is_counted_from_its_acceptance_to_its_end() -> None:
    metrics = Metrics()
    job = record()
    metrics.published(event(JobQueued(task=TASK, priority=Priority.NORMAL)), job)
    metrics.published(event(JobStarted(worker="w", device="cpu", attempt=1)), job)
    metrics.published(event(StepFinished(image=0, step=1, steps=2, progress=0.5), n=1), job)
    metrics.published(event(JobSucceeded(duration_s=4.0)), job)
    found = values(metrics)
    assert found["safelight_jobs_accepted_total", "upscale"] == 1
    assert found["safelight_jobs_ended_total", "succeeded", "upscale"] == 1
    assert found["safelight_job_duration_seconds_sum", "upscale"] == 4.0
    assert found["safelight_job_queue_wait_seconds_sum", "batch"] == 2.5
    assert found["safelight_events_published_total", "hint", "step.finished"] == 1
    assert found["safelight_events_published_total", "fact", "job.queued"] == 1


def test_only_the_first_start_is_a_wait_in_the_queue() -> None:
    metrics = Metrics()
    job = record(is_interactive=True)
    metrics.published(event(JobStarted(worker="w", device="cpu", attempt=1)), job)
    metrics.published(event(JobRequeued(attempt=2, reason="crash")), job)
    metrics.published(event(JobStarted(worker="w", device="cpu", attempt=2)), job)
    metrics.published(event(JobFailed(error=ErrorBody(code=ErrorCode.STEP_FAILED, message="x"))), job)
    found = values(metrics)
    assert found["safelight_job_queue_wait_seconds_count", "interactive"] == 1
    assert found["safelight_jobs_requeued_total", "upscale"] == 1
    assert found["safelight_jobs_ended_total", "failed", "upscale"] == 1


def test_requests_commits_and_deliveries_are_counted() -> None:
    metrics = Metrics()
    metrics.observe_request("GET", "/v1/jobs/{job_id}", 200, 0.02)
    metrics.observe_request("BREW", "unmatched", 405, 0.02)
    metrics.observe_request("WEBSOCKET", "/v1/ws", 101, 900.0)
    metrics.observe_commit(0.003, 12)
    metrics.observe_webhook("failed")
    metrics.socket_lagged()
    found = values(metrics)
    assert found["safelight_http_requests_total", "/v1/jobs/{job_id}", "200", "GET"] == 1
    assert found["safelight_http_requests_total", "405", "other", "unmatched"] == 1
    assert ("safelight_http_request_duration_seconds_count", "/v1/ws") not in found, "a socket is not a slow request"
    assert found["safelight_store_commit_facts_sum",] == 12
    assert found["safelight_store_commit_duration_seconds_count",] == 1
    assert found["safelight_webhook_deliveries_total", "failed"] == 1
    assert found["safelight_subscribers_lagged_total",] == 1


def test_present_values_are_read_when_they_are_asked_for() -> None:
    metrics = Metrics()
    sockets = set[int]()
    state = EngineState(status=EngineStatus.READY, device="cpu", live_jobs=2, live_bytes=10, budget_bytes=20)
    metrics.watch(
        Gauges(
            queued=lambda: {"interactive": 1, "batch": 7},
            engine=lambda: state,
            subscribers=lambda: 3,
            sockets=lambda: len(sockets),
            deepest_buffer=lambda: 4,
        )
    )
    assert values(metrics)["safelight_sockets",] == 0
    sockets.add(1)
    found = values(metrics)
    assert found["safelight_sockets",] == 1
    assert found["safelight_jobs_queued", "batch"] == 7
    assert found["safelight_engine_status", "ready"] == 1
    assert found["safelight_engine_status", "stuck"] == 0
    assert (found["safelight_jobs_live",], found["safelight_engine_budget_bytes",]) == (2, 20)
    assert (found["safelight_subscribers",], found["safelight_deepest_buffer_events",]) == (3, 4)


def test_two_servers_in_one_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.socket_lagged()
    assert values(second)["safelight_subscribers_lagged_total",] == 0
