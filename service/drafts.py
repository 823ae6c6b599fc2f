"""What happened, before it is numbered, stored or told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.events import Event, EventBody
from service.records import JobRecord


@dataclass(slots=True)
class Draft:
    """Something that happened, not yet numbered, stored or told.

    Attributes:
        record: of a new job, for its first facts; others are found by `job_id`.
        rows: what a new job puts into the store beside its facts: `job`, and perhaps `idempotency` and `foreign`.
        is_crash: this requeueing follows the end of a server or worker, which counts against the job.
        done: resolved with the event once it is published, with None if it was refused.
    """

    body: EventBody | None
    job_id: str | None
    attempt: int = 1
    record: JobRecord | None = None
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_crash: bool = False
    done: asyncio.Future[Event | None] | None = None

    @property
    def makes_job(self) -> bool:
        return "job" in self.rows
