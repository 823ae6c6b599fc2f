"""Gives waiting jobs to the engine as room appears, and tells those who watch how the queue moves."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import orjson
import structlog

from engine.interface import Order, Run
from engine.interface.engine import Engine
from protocol.errors import ProtocolError
from protocol.events import Event, JobCancelled, JobFailed, JobQueued, JobRequeued, JobSucceeded, QueueMoved
from protocol.requests import JobRequest, parse_job_request
from service.admission import PRIORITY_RANK, Admission, Waiting
from service.bus import Bus
from service.clock import now, seconds_between, timestamp
from service.database import Row
from service.files import Files
from service.ledger import Ledger
from service.pump import Draft, Pump
from service.records import JobRecord
from service.store import Store

logger = structlog.get_logger(__name__)

_REQUESTS_KEPT: Final = 1000
"""Of more waiting jobs of one class and priority than these, the request is not kept in memory."""
_ANSWERS_FIRST: Final = 4
"""Turns of the event loop before the engine is given a job: its threads would take the interpreter from the answer
to the submit, and from the first event."""
_MOVES_INTERVAL_S: Final = 0.25
_MOVES_PER_JOB_S: Final = 0.001
"""A look at the queue takes so much longer for every job that is watched: keeps the cost of it bounded."""
_MOVES_AT_ONCE: Final = 4
"""Those who hear of them write to their clients at once: others have their turn before the next are told."""
_MOVES_PER_KEY: Final = 100


class Dispatcher:
    """Between the queue and the engine. For the event loop only."""

    def __init__(
        self, admission: Admission, ledger: Ledger, store: Store, files: Files, engine: Engine, bus: Bus, pump: Pump
    ) -> None:
        self._admission = admission
        self._ledger = ledger
        self._store = store
        self._files = files
        self._engine = engine
        self._bus = bus
        self._pump = pump
        self._turn = 0
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._is_paused = False
        self._missing: str | None = None

    # ---- what happens ----------------------------------------------------------------------------------------

    def published(self, event: Event, record: JobRecord | None) -> None:
        """Listen to the pump."""
        if record is None or not event.is_fact:
            return
        if isinstance(event.body, JobQueued | JobRequeued):
            if record.cancel_requested:
                self._pump.put([Draft(JobCancelled(reason="cancelled by the client"), record.id, record.attempt)])
            else:
                self.enqueue(record)
        elif event.is_terminal:
            if isinstance(event.body, JobSucceeded):
                self._admission.measured(record.task, event.body.duration_s)
            self.wake()

    def enqueue(self, record: JobRecord) -> None:
        """Let a job wait its turn."""
        waiting = Waiting(
            record.id, record.key_id, record.task, not record.is_interactive, record.priority, record.arrival
        )
        # Only of its own kind: a job that overtakes a long queue will be wanted at once.
        if self._admission.count_like(waiting) >= _REQUESTS_KEPT:
            record.request = None
        self._admission.add(waiting)
        self.wake()

    def withdraw(self, job_id: str) -> bool:
        """Take a job out of the queue; False if it does not wait there."""
        self._moved.set()
        return self._admission.remove(job_id)

    def wake(self) -> None:
        """There may be room, or somebody to fill it."""
        self._wake.set()
        self._moved.set()

    def pause(self) -> None:
        """Give the engine nothing more: the server is stopping."""
        self._is_paused = True

    # ---- giving jobs to the engine ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            for _ in range(_ANSWERS_FIRST):
                await asyncio.sleep(0)
            self._wake.clear()
            while not self._is_paused and (missing := self._dispatch_all()) is not None:
                await self._load(missing)

    def _dispatch_all(self) -> str | None:
        """Give the engine what it has room for; returns the job whose request has to be read first, if one is next."""
        self._missing = None
        while (waiting := self._admission.take(self._fits)) is not None:
            self._dispatch(waiting.job_id)
        return self._missing

    def _fits(self, waiting: Waiting) -> bool:
        record = self._ledger.get(waiting.job_id)
        if record is None:
            return True  # it has ended in the meantime, and is passed over
        if record.request is None:
            self._missing = record.id
            return False
        return self._engine.has_room(self._run(record, record.request))

    def _dispatch(self, job_id: str) -> None:
        record = self._ledger.get(job_id)
        if record is None or record.request is None:
            return
        self._turn += 1
        self._engine.submit(self._run(record, record.request))
        record.request = None

    def _run(self, record: JobRecord, request: JobRequest) -> Run:
        folder: Path | None = self._files.inputs(record.id) if record.inputs else None
        return Run(
            job_id=record.id,
            attempt=record.attempt,
            task=record.task,
            params=request.params,
            order=Order(not record.is_interactive, PRIORITY_RANK[record.priority], self._turn, record.key_id),
            previews=record.previews,
            inputs={field: folder / name for field, name in record.inputs.items()} if folder else {},
            input_pixels=record.input_pixels,
            first_image=record.outputs,
        )

    async def _load(self, job_id: str) -> None:
        row = await self._store.row(job_id)
        record = self._ledger.get(job_id)
        if row is None or record is None:
            self._admission.remove(job_id)
            return
        try:
            record.request = request_from_row(row)
            record.inputs = orjson.loads(row["inputs"])
        except ProtocolError as error:
            # Accepted by a version of this program that knew other parameters: it fails alone, or nothing would start.
            self._admission.remove(job_id)
            self._pump.put([Draft(JobFailed(error=error.body()), job_id, record.attempt)])

    # ---- telling how the queue moves -------------------------------------------------------------------------

    async def tell_moves(self) -> None:
        """Tell position and ETA to those who watch, as the queue moves, but not too often. Until cancelled."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            drafts = self._moves(list(self._watched()))
            while told := list(islice(drafts, _MOVES_AT_ONCE)):
                self._pump.put(told)
                await asyncio.sleep(len(told) * _MOVES_PER_JOB_S)
            await asyncio.sleep(_MOVES_INTERVAL_S)

    def _moves(self, watched: Iterable[JobRecord]) -> Iterator[Draft]:
        """What is to be told of these jobs; each as it is when its turn comes."""
        running_s = self._running_s()
        for record in watched:
            if (draft := self._moved_draft(record, running_s)) is not None:
                yield draft

    def _watched(self) -> Iterator[JobRecord]:
        keys = dict.fromkeys(self._bus.watched_keys(), _MOVES_PER_KEY)
        for job_id in list(self._bus.watched_jobs()):
            record = self._ledger.get(job_id)
            if record is not None and record.id in self._admission:
                yield record
        if keys:
            for waiting in self._admission.first_of_keys(keys):
                record = self._ledger.get(waiting.job_id)
                if record is not None:
                    yield record

    def _moved_draft(self, record: JobRecord, running_s: float) -> Draft | None:
        place = self._admission.place(record.id)
        if place is None or record.position == place.position:
            return None
        own_s = self._admission.mean_s(record.task)
        eta_s = None
        if place.wait_s is not None and own_s is not None:
            eta_s = round(place.wait_s + own_s + running_s, 3)
        return Draft(QueueMoved(position=place.position, eta_s=eta_s), record.id, record.attempt)

    def _running_s(self) -> float:
        """About how long the running jobs still take together: they share one device."""
        at, total = timestamp(now()), 0.0
        for record in self._ledger.running.values():
            mean_s = self._admission.mean_s(record.task) or 0.0
            elapsed_s = seconds_between(record.started_at, at) if record.started_at else 0.0
            total += record.eta_s if record.eta_s is not None else max(0.0, mean_s - elapsed_s)
        return total


def request_from_row(row: Row) -> JobRequest:
    """The request of a stored job. It was checked when it was accepted; now it only has to be read."""
    return parse_job_request(
        {
            "task": row["task"],
            "params": orjson.loads(row["params"]),
            "priority": row["priority"],
            "previews": row["previews"],
        }
    )
