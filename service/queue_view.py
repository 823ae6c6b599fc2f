"""The jobs that wait, as the facts tell of them; and those who watch are told how the queue moves."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from protocol.events import Event, JobCancelled, JobQueued, JobRequeued, JobStarted, JobSucceeded, QueueMoved
from service.admission import Admission, Waiting
from service.broker import FactLog
from service.bus import Bus
from service.clock import now, seconds_between, timestamp
from service.drafts import Draft
from service.ledger import Ledger
from service.records import JobRecord

_REQUESTS_KEPT: Final = 1000
"""Of more waiting jobs of one class and priority than these, the request is not kept in memory."""
_MOVES_INTERVAL_S: Final = 0.25
_MOVES_PER_JOB_S: Final = 0.001
"""A look at the queue takes so much longer for every job that is watched: keeps the cost of it bounded."""
_MOVES_AT_ONCE: Final = 4
"""Those who hear of them write to their clients at once: others have their turn before the next are told."""
_MOVES_PER_KEY: Final = 100


class QueueView:
    """Keeps `Admission` as the published facts say. For the event loop only."""

    def __init__(self, admission: Admission, ledger: Ledger, bus: Bus, log: FactLog) -> None:
        self._admission = admission
        self._ledger = ledger
        self._bus = bus
        self._log = log
        self._moved = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Called when a job waits that did not, or a job has ended."""

    def published(self, event: Event, record: JobRecord | None) -> None:
        """Listen to what is told."""
        if record is None or not event.is_fact:
            return
        if isinstance(event.body, JobQueued | JobRequeued):
            if record.cancel_requested:
                cancelled = JobCancelled(reason="cancelled by the client")
                self._log.put([Draft(cancelled, record.id, record.attempt)])
            else:
                self.enqueue(record)
        elif isinstance(event.body, JobStarted):
            if self._admission.remove(record.id):  # somebody else has claimed it
                self._moved.set()
        elif event.is_terminal:
            self._admission.remove(record.id)
            if isinstance(event.body, JobSucceeded):
                self._admission.measured(record.task, event.body.duration_s)
            self.changed()

    def enqueue(self, record: JobRecord) -> None:
        """Let a job wait its turn."""
        waiting = Waiting(
            record.id, record.key_id, record.task, not record.is_interactive, record.priority, record.arrival
        )
        # Only of its own kind: a job that overtakes a long queue will be wanted at once.
        if self._admission.count_like(waiting) >= _REQUESTS_KEPT:
            record.request = None
        self._admission.add(waiting)
        self.changed()

    def changed(self) -> None:
        """The queue may have moved, or there may be room."""
        self._moved.set()
        self.on_change()

    async def tell_moves(self) -> None:
        """Tell position and ETA to those who watch, as the queue moves, but not too often. Until cancelled."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            drafts = self._moves(list(self._watched()))
            while told := list(islice(drafts, _MOVES_AT_ONCE)):
                self._log.put(told)
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
