"""Between the queue and the engine: a fake store, and an engine that has as much room as a test says."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.interface import Run
from protocol.editing import TestPatternParams
from protocol.errors import ErrorCode
from protocol.events import Event, EventBody, JobCancelled, JobFailed, JobRequeued, JobStarted, JobSucceeded, QueueMoved
from protocol.requests import Priority, parse_job_request
from service import queue_view
from service.dispatcher import Dispatcher
from service.drafts import Draft
from service.files import Files
from service.queue_view import QueueView
from service.records import JobRecord
from tests.servers import DEADLINE_S
from tests.unit.service.parts import Table, queued, record
from tests.unit.service.tally import Tally, WatchedEvent

pytestmark = pytest.mark.anyio
REQUEST = parse_job_request({"task": "test_pattern", "params": {"seed": 5}})
ROW = {
    "task": "test_pattern",
    "params": '{"seed": 6}',
    "priority": "normal",
    "previews": "latest",
    "inputs": '{"image": "image.png"}',
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Room:
    """An engine that takes `free` jobs."""

    def __init__(self, free: int = 10**6) -> None:
        self.free = free
        self.runs: list[Run] = []
        self.given = Tally()

    def has_room(self, _run: Run) -> bool:
        return self.free > 0

    def submit(self, run: Run) -> None:
        self.free -= 1
        self.runs.append(run)
        self.given.add()

    @property
    def taken(self) -> list[str]:
        return [run.job_id for run in self.runs]


class Desk:
    """A dispatcher at work."""

    def __init__(self, tmp_path: Path, free: int) -> None:
        self.table = Table()
        self.engine = Room(free)
        self.rows: dict[str, dict[str, Any]] = {}
        self.any_row: dict[str, Any] | None = None
        self.table.store.row = self._row  # type: ignore[attr-defined] # beside what a pump needs
        table = self.table
        self.queue = QueueView(table.admission, table.ledger, table.bus, table.pump)
        self.broker = table.broker
        self.dispatcher = Dispatcher(self.broker, Files(tmp_path), self.engine)  # type: ignore[arg-type] # all it uses of one
        self.broker._wake = self.wake = WatchedEvent()
        self.queue._moved = self.moved = WatchedEvent()
        self.queue.on_change = self.broker.wake
        table.projection.listeners.extend((self.queue, self))
        self._told: dict[type[EventBody], Tally] = defaultdict(Tally)
        self._arrivals = 0

    def published(self, event: Event, _job: JobRecord | None) -> None:
        self._told[type(event.body)].add()

    async def told(self, kind: type[EventBody], count: int = 1) -> None:
        """Wait until so many such events were published."""
        await self._told[kind].reaches(count)

    async def accept(self, **about: Any) -> JobRecord:
        self._arrivals += 1
        job = replace(record(), **{"request": REQUEST, "arrival": self._arrivals, **about})
        await self.table.pump.put_and_wait(queued(job))
        return job

    async def until(self, count: int) -> None:
        """Wait until the engine has this many jobs."""
        await self.engine.given.reaches(count)

    async def settle(self) -> None:
        """Wait until what was published has led to what it leads to: the dispatcher has looked at its queue."""
        await self.table.pump.drained()
        await self.wake.wait_clear()

    async def _row(self, job_id: str) -> dict[str, Any] | None:
        return self.rows.get(job_id, self.any_row)


@asynccontextmanager
async def working(tmp_path: Path, free: int = 10**6) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, free)
    tasks = [asyncio.create_task(work) for work in (desk.table.pump.run(), desk.dispatcher.run())]
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield desk
    finally:
        for task in tasks:
            task.cancel()


async def test_a_job_goes_to_the_engine_with_all_it_needs(tmp_path: Path) -> None:
    async with working(tmp_path) as desk:
        job = await desk.accept(inputs={"image": "image.png"}, input_pixels=9, outputs=2, priority=Priority.HIGH)
        await desk.until(1)
    (run,) = desk.engine.runs
    assert (run.job_id, run.attempt, run.input_pixels, run.first_image) == (job.id, 1, 9, 2)
    assert run.params == TestPatternParams(seed=5)
    assert run.inputs["image"].parts[-3:] == (job.id, "inputs", "image.png")
    assert (run.order.is_batch, run.order.priority) == (True, 0)
    assert job.request is None


async def test_jobs_are_numbered_in_the_order_they_are_let_through(tmp_path: Path) -> None:
    async with working(tmp_path, free=0) as desk:
        low = await desk.accept(priority=Priority.LOW)
        high = await desk.accept(priority=Priority.HIGH)
        click = await desk.accept(is_interactive=True)
        desk.engine.free = 9
        desk.queue.changed()
        await desk.until(3)
    assert desk.engine.taken == [click.id, high.id, low.id]
    turns = [run.order.turn for run in desk.engine.runs]
    assert turns == sorted(set(turns))


async def test_jobs_wait_until_there_is_room(tmp_path: Path) -> None:
    async with working(tmp_path, free=1) as desk:
        jobs = [await desk.accept() for _ in range(3)]
        await desk.settle()
        assert desk.engine.taken == [jobs[0].id]
        desk.engine.free = 1
        desk.queue.changed()
        await desk.settle()
        assert desk.engine.taken == [jobs[0].id, jobs[1].id]
        assert jobs[2].id in desk.table.admission


async def test_the_end_of_a_job_makes_room_and_tells_how_long_its_task_takes(tmp_path: Path) -> None:
    async with working(tmp_path, free=1) as desk:
        first, second = await desk.accept(), await desk.accept()
        await desk.until(1)
        desk.table.pump.put([Draft(JobStarted(worker="w", device="d", attempt=1), first.id)])
        await desk.settle()
        desk.engine.free = 1
        desk.table.pump.put([Draft(JobSucceeded(duration_s=2.5), first.id)])
        await desk.until(2)
    assert desk.engine.taken == [first.id, second.id]
    assert desk.table.admission.mean_s(first.task) == 2.5


async def test_a_job_withdrawn_from_the_queue_never_reaches_the_engine(tmp_path: Path) -> None:
    async with working(tmp_path, free=0) as desk:
        job, other = await desk.accept(), await desk.accept()
        await desk.broker.cancel(job, "no longer wanted")
        desk.engine.free = 9
        desk.queue.changed()
        await desk.until(1)
        await desk.settle()
    assert desk.engine.taken == [other.id]


async def test_a_paused_dispatcher_gives_nothing_more(tmp_path: Path) -> None:
    async with working(tmp_path) as desk:
        desk.broker.pause()
        await desk.accept()
        await desk.settle()
    assert desk.engine.taken == []


async def test_a_request_that_was_not_kept_is_read_back(tmp_path: Path) -> None:
    async with working(tmp_path, free=0) as desk:
        desk.any_row = ROW
        job, following = await desk.accept(request=None), await desk.accept()
        desk.engine.free = 9
        desk.queue.changed()
        await desk.until(2)
    assert desk.engine.taken == [job.id, following.id]
    assert desk.engine.runs[0].params == TestPatternParams(seed=6)
    assert set(desk.engine.runs[0].inputs) == {"image"}


async def test_a_job_whose_row_is_gone_is_passed_over(tmp_path: Path) -> None:
    async with working(tmp_path, free=0) as desk:
        gone, following = await desk.accept(request=None), await desk.accept()
        desk.engine.free = 9
        desk.queue.changed()
        await desk.until(1)
        await desk.settle()
    assert desk.engine.taken == [following.id]
    assert gone.id not in desk.table.admission


async def test_a_request_that_cannot_be_read_any_more_costs_its_job_and_no_other(tmp_path: Path) -> None:
    """One that an older version of this program accepted, with parameters that have changed since."""
    async with working(tmp_path) as desk:
        desk.any_row = {**ROW, "params": '{"steps": "many"}'}
        old = await desk.accept(request=None)
        await desk.told(JobFailed)
        desk.any_row = ROW
        new = await desk.accept(request=None)
        await desk.until(1)
    assert desk.engine.taken == [new.id]
    end = desk.table.of(old.id)[-1].body
    assert isinstance(end, JobFailed)
    assert (end.error.code, end.error.field) == (ErrorCode.INVALID_PARAMS, "$.params.steps")


async def test_of_very_many_waiting_jobs_the_requests_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_view, "_REQUESTS_KEPT", 2)
    async with working(tmp_path, free=0) as desk:
        jobs = [await desk.accept() for _ in range(4)]
    assert [job.request is not None for job in jobs] == [True, True, False, False]


async def test_a_requeued_job_waits_again_with_its_next_attempt(tmp_path: Path) -> None:
    async with working(tmp_path) as desk:
        job = await desk.accept()
        desk.rows[job.id] = ROW
        await desk.until(1)
        desk.table.pump.put([Draft(JobStarted(worker="w", device="d", attempt=1), job.id)])
        desk.table.pump.put([Draft(JobRequeued(attempt=2, reason="x"), job.id)])
        await desk.until(2)
    assert [run.attempt for run in desk.engine.runs] == [1, 2]


async def test_a_requeued_job_that_was_asked_to_end_is_cancelled_instead(tmp_path: Path) -> None:
    async with working(tmp_path) as desk:
        job = await desk.accept()
        await desk.until(1)
        job.cancel_requested = True
        desk.table.pump.put([Draft(JobStarted(worker="w", device="d", attempt=1), job.id)])
        desk.table.pump.put([Draft(JobRequeued(attempt=2, reason="x"), job.id)])
        await desk.told(JobCancelled)
        await desk.settle()
    assert isinstance(desk.table.of(job.id)[-1].body, JobCancelled)
    assert len(desk.engine.runs) == 1


class Ear:
    def offer(self, _event: object) -> None:
        """Somebody is there."""


async def test_those_who_watch_are_told_their_place_whenever_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_view, "_MOVES_INTERVAL_S", 0)
    monkeypatch.setattr(queue_view, "_MOVES_PER_JOB_S", 0)
    async with working(tmp_path, free=0) as desk:
        moves = asyncio.create_task(desk.queue.tell_moves())
        jobs = [await desk.accept() for _ in range(3)]
        desk.table.bus.watch_job(jobs[2].id, Ear())
        desk.queue.changed()

        await desk.told(QueueMoved, 1)
        await desk.broker.cancel(jobs[0], "no longer wanted")
        await desk.told(QueueMoved, 2)
        for _ in range(5):  # it is looked at again, and stands where it stood
            desk.queue.changed()
            await desk.moved.wait_clear()
            await desk.table.pump.drained()
        moves.cancel()
    told = [(event.job_id, event.body.position) for event in desk.table.heard if isinstance(event.body, QueueMoved)]
    assert told == [(jobs[2].id, 2), (jobs[2].id, 1)]


class Turns:
    """How many moves were told in each turn of the event loop that told any."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self._is_open = False

    def published(self, event: Event, _job: JobRecord | None) -> None:
        if not isinstance(event.body, QueueMoved):
            return
        if not self._is_open:
            self._is_open = True
            self.told.append(0)
            asyncio.get_running_loop().call_soon(self._end)
        self.told[-1] += 1

    def _end(self) -> None:
        self._is_open = False


async def test_of_many_who_watch_only_a_few_are_told_before_others_have_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_view, "_MOVES_PER_JOB_S", 0)
    async with working(tmp_path, free=0) as desk:
        jobs = [await desk.accept() for _ in range(21)]
        for job in jobs:
            desk.table.bus.watch_job(job.id, Ear())
        turns = Turns()
        desk.table.projection.listeners.append(turns)
        moves = asyncio.create_task(desk.queue.tell_moves())
        await desk.told(QueueMoved, len(jobs))
        moves.cancel()
    assert sum(turns.told) == len(jobs)
    assert max(turns.told) <= 4
    assert [job.position for job in jobs] == list(range(21))


async def test_whoever_only_waits_for_the_end_is_not_told_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_view, "_MOVES_INTERVAL_S", 0)
    async with working(tmp_path, free=0) as desk:
        waits, watches = await desk.accept(), await desk.accept()
        desk.table.bus.watch_job(waits.id, Ear(), facts_only=True)
        desk.table.bus.watch_job(watches.id, Ear())
        moves = asyncio.create_task(desk.queue.tell_moves())
        await desk.told(QueueMoved)
        desk.queue.changed()
        await desk.moved.wait_clear()
        await desk.table.pump.drained()
        moves.cancel()
    assert [event.job_id for event in desk.table.heard if isinstance(event.body, QueueMoved)] == [watches.id]
