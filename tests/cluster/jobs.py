"""Jobs as they come to a broker, what is told of them, and what was heard: for tests of brokers and gateways."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from protocol.events import Event, JobQueued, JobStarted, JobSucceeded, OutputReady
from protocol.ids import new_id
from protocol.requests import TASKS, Previews, Priority, TaskName, Webhook, parse_job_request
from service.broker import Claim
from service.clock import timestamp
from service.drafts import Draft
from service.records import JobRecord
from tests.cluster.members import eventually

SUCCEEDED = JobSucceeded(duration_s=0.5)


def a_job(
    task: TaskName = TaskName.TEST_PATTERN,
    *,
    key_id: str = "anna",
    priority: Priority = Priority.NORMAL,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    webhook: Webhook | None = None,
    more: Mapping[str, Mapping[str, Any]] | None = None,
    created_at: str | None = None,
) -> Draft:
    """A job that nobody has heard of yet, as it is submitted.

    Args:
        more: rows beside its own, see `service.drafts.Draft`; `job_id` is filled in.
    """
    job_id, created_at = new_id(), created_at or timestamp()
    row = {
        "id": job_id,
        "key_id": key_id,
        "task": task,
        "priority": priority,
        "previews": Previews.LATEST,
        "params": orjson.dumps(params or {}).decode(),
        "given": None,
        "labels": '{"colour": "red"}',
        "webhook": webhook.model_dump_json() if webhook else None,
        "inputs": orjson.dumps(inputs or {}).decode(),
        "input_pixels": 0,
        "created_at": created_at,
    }
    record = JobRecord(
        id=job_id,
        key_id=key_id,
        task=task,
        is_interactive=TASKS[task].is_interactive,
        priority=priority,
        previews=Previews.LATEST,
        input_pixels=0,
        created_at=created_at,
        arrival=int(job_id[:8] + job_id[9:13] + job_id[15:18], 16),
        request=parse_job_request({"task": task, "params": params or {}, "priority": priority}),
        inputs=inputs or {},
        webhook=webhook,
    )
    rows = {"job": row, **{name: {**values, "job_id": job_id} for name, values in (more or {}).items()}}
    return Draft(JobQueued(task=task, priority=priority), job_id, record=record, rows=rows)


def started(attempt: int = 1, worker: str = "one") -> JobStarted:
    return JobStarted(worker=worker, device="cpu", attempt=attempt)


def output(index: int) -> OutputReady:
    return OutputReady(index=index, url=f"/{index}.png", media_type="image/png", size_bytes=8, sha256="ab" * 32)


def fits(_claim: Claim) -> bool:
    """There is room for any job."""
    return True


class Heard:
    """A listener of a projection: all it tells, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def published(self, event: Event, _record: JobRecord | None) -> None:
        self.events.append(event)

    def of(self, job_id: str) -> list[Event]:
        return [event for event in self.events if event.job_id == job_id]

    def facts(self, job_id: str) -> list[tuple[int, str]]:
        """Seq and type of each."""
        return [(event.seq, event.type) for event in self.of(job_id) if event.is_fact]

    def hints(self, job_id: str, kind: str) -> list[Event]:
        return [event for event in self.of(job_id) if event.type == kind]

    async def until(self, job_id: str, kind: str, *, times: int = 1) -> Event:
        """Wait until something of a job was told so many times; returns the last."""
        await self.until_true(lambda: len(self.hints(job_id, kind)) >= times, f"{kind} of {job_id}, {times} times")
        return self.hints(job_id, kind)[times - 1]

    async def until_true(self, is_true: Callable[[], bool], what: str) -> None:
        await eventually(is_true, f"{what}; heard {[(event.type, event.seq, event.n) for event in self.events]}")
