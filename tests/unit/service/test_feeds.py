"""Subscriptions on a store that answers late: whatever happens meanwhile is told once, in order."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, EventBody, JobRequeued, JobStarted, JobSucceeded, JobWarning, StepFinished
from service.drafts import Draft
from service.feeds import Feeds
from service.model_loads import ModelLoads
from service.outlet import BufferedOutlet
from service.records import JobRecord
from tests.unit.service.parts import Table, queued, record

KEY = "k"


class Reader:
    """An outlet without limits, that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def offer(self, event: Event) -> None:
        self.events.append(event)

    async def room(self) -> None:
        return

    @property
    def facts(self) -> list[int]:
        return [event.seq for event in self.events if event.is_fact]

    @property
    def hints(self) -> list[Event]:
        return [event for event in self.events if not event.is_fact]


class World:
    """A pump that the test turns by hand, and feeds on it."""

    def __init__(self) -> None:
        self.table = Table()
        self.loads = ModelLoads()
        table = self.table
        self.feeds = Feeds(table.ledger, table.store, table.bus, table.pump, table.broker, self.loads)  # type: ignore[arg-type]
        self.reads = asyncio.Event()

    async def accept(self) -> JobRecord:
        job = record(key_id=KEY)
        await self.table.pump._process([queued(job)])
        return job

    async def happen(self, job: JobRecord, *bodies: EventBody) -> None:
        await self.table.pump._process([Draft(body, job.id, job.attempt) for body in bodies])

    def forget_facts(self, job: JobRecord) -> None:
        """As after a restart: what was is in the store only."""
        job.facts.clear()
        job.facts_after = job.seq

    async def follow_late(self, job: JobRecord, after: int, reader: Reader) -> "asyncio.Task[object]":
        """Follow a job, and stop where the store is being read."""
        gate = asyncio.Event()
        asked = asyncio.Event()

        async def wait() -> None:
            asked.set()
            await gate.wait()

        self.table.store.before_read = wait
        task = asyncio.create_task(self.feeds.follow_job(job.id, KEY, after, reader))
        await asyncio.wait_for(asked.wait(), 1)
        self.open = gate.set
        return task


STARTED = JobStarted(worker="w", device="d", attempt=1)
END = JobSucceeded(duration_s=1)


def step(number: int) -> StepFinished:
    return StepFinished(image=0, step=number, steps=9, progress=number / 9)


def warning(number: int) -> JobWarning:
    return JobWarning(code=str(number), message="")


BODIES = {
    "fact": warning(0),
    "hint": step(1),
    "end": END,
}


@settings(max_examples=120, deadline=None)
@given(
    before=st.lists(st.sampled_from(["fact", "hint"]), max_size=5),
    during=st.lists(st.sampled_from(["fact", "hint", "end"]), max_size=6),
    unpublished=st.lists(st.sampled_from(["fact", "hint", "end"]), max_size=3),
    following=st.lists(st.sampled_from(["fact", "hint", "end"]), max_size=4),
    after=st.integers(0, 7),
    in_memory=st.booleans(),
)
def test_a_late_store_neither_loses_nor_repeats(
    before: list[str], during: list[str], unpublished: list[str], following: list[str], after: int, in_memory: bool
) -> None:
    """Facts and hints happen before, while and after the past is read; some are stored but told only after that."""

    async def scenario() -> None:
        world = World()
        job = await world.accept()
        await world.happen(job, STARTED, *(BODIES[kind] for kind in before))
        if not in_memory:
            world.forget_facts(job)
        first = min(after, job.seq if in_memory else job.seq - 1)
        reader = Reader()
        known = list(job.hints.values())
        if in_memory:
            subscription = await world.feeds.follow_job(job.id, KEY, first, reader)
            await world.happen(job, *(BODIES[kind] for kind in during))
        else:
            following_task = await world.follow_late(job, first, reader)
            await world.happen(job, *(BODIES[kind] for kind in during))
            subscription = await _with_unpublished(world, job, unpublished, following_task)
        await world.happen(job, *(BODIES[kind] for kind in following))
        told = [event for event in world.table.of(job.id) if event.is_fact and event.seq > first]
        assert [event for event in reader.events if event.is_fact] == told
        assert len({(hint.attempt, hint.n, hint.type) for hint in reader.hints}) == len(reader.hints), "a hint twice"
        counters = [hint.n for hint in reader.hints]
        assert counters == sorted(counters)
        if told and told[-1].is_terminal:
            assert reader.events[-1].is_terminal, "something after the end"
            assert subscription.has_ended
            assert not list(world.table.bus.watched_jobs())
        else:
            latest = job.hints.get(StepFinished.TYPE)
            assert not latest or latest in reader.hints or latest in known

    asyncio.run(scenario())


async def _with_unpublished(world: World, job: JobRecord, kinds: Sequence[str], task: "asyncio.Task[object]") -> object:
    """Let the store be read between the commit of these and their publishing."""
    gate = asyncio.Event()
    stored = world.table.store.commit

    async def commit_and_wait(batch: object) -> None:
        await stored(batch)  # type: ignore[arg-type] # handed on
        await gate.wait()

    world.table.store.commit = commit_and_wait  # type: ignore[method-assign]
    happening = asyncio.create_task(world.happen(job, *(BODIES[kind] for kind in kinds)))
    for _ in range(3):
        await asyncio.sleep(0)
    world.open()
    for _ in range(5):
        await asyncio.sleep(0)
    gate.set()
    await happening
    world.table.store.commit = stored  # type: ignore[method-assign]
    return await task


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["fact", "hint"])), max_size=6),
    during=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["fact", "hint", "end"])), max_size=6),
    following=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["fact", "hint", "end"])), max_size=4),
    seen=st.integers(0, 8),
)
def test_following_all_jobs_of_a_key_neither_loses_nor_repeats(
    before: list[tuple[int, str]], during: list[tuple[int, str]], following: list[tuple[int, str]], seen: int
) -> None:
    async def scenario() -> None:
        world = World()
        jobs = [await world.accept(), await world.accept()]
        for job in jobs:
            await world.happen(job, STARTED)
        for number, kind in before:
            await world.happen(jobs[number], BODIES[kind])
        begin = min(seen, world.table.pump.stored_cursor)
        gate, asked = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            asked.set()
            await gate.wait()

        world.table.store.before_read = wait
        reader = Reader()
        task = asyncio.create_task(world.feeds.follow_key(KEY, f"db-{begin}", reader))
        await asyncio.wait_for(asked.wait(), 1)
        for number, kind in during:
            await world.happen(jobs[number], BODIES[kind])
        gate.set()
        await task
        for number, kind in following:
            await world.happen(jobs[number], BODIES[kind])
        facts = [event for event in world.table.heard if event.is_fact][begin:]
        assert [event for event in reader.events if event.is_fact] == facts
        assert len(set(map(id, reader.hints))) == len(reader.hints), "a hint twice"

    asyncio.run(scenario())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_late_subscriber_gets_the_latest_hint_of_each_type() -> None:
    world = World()
    job = await world.accept()
    await world.happen(job, STARTED, step(1), step(2), warning(1))
    reader = Reader()
    await world.feeds.follow_job(job.id, KEY, job.seq, reader)
    assert [hint.body for hint in reader.hints] == [step(2)]


@pytest.mark.anyio
async def test_a_subscriber_to_facts_only_gets_no_hint_neither_the_latest_nor_a_new_one() -> None:
    world, reader = World(), Reader()
    job = await world.accept()
    await world.happen(job, STARTED, step(1))
    await world.feeds.follow_job(job.id, KEY, 0, reader, facts_only=True)
    await world.happen(job, step(2), warning(1), END)
    assert (reader.facts, reader.hints) == ([1, 2, 3, 4], [])
    assert world.table.bus.subscriber_count() == 0


@pytest.mark.anyio
async def test_hints_of_an_earlier_attempt_are_not_told_after_the_requeueing() -> None:
    world = World()
    job = await world.accept()
    await world.happen(job, STARTED)
    world.forget_facts(job)
    reader = Reader()
    task = await world.follow_late(job, 0, reader)
    await world.happen(job, step(1))  # held back, of attempt 1
    BODIES["requeue"] = JobRequeued(attempt=2, reason="x")
    await _with_unpublished(world, job, ["requeue"], task)
    assert reader.facts == [1, 2, 3]
    assert reader.hints == []


@pytest.mark.anyio
async def test_a_job_of_another_key_is_not_found() -> None:
    world = World()
    job = await world.accept()
    with pytest.raises(ProtocolError) as refusal:
        await world.feeds.follow_job(job.id, "other", 0, Reader())
    assert refusal.value.code is ErrorCode.NOT_FOUND
    assert not list(world.table.bus.watched_jobs())


@pytest.mark.anyio
async def test_a_seq_of_the_future_is_refused() -> None:
    world = World()
    job = await world.accept()
    with pytest.raises(ProtocolError) as refusal:
        await world.feeds.follow_job(job.id, KEY, 2, Reader())
    assert (refusal.value.code, refusal.value.field) == (ErrorCode.INVALID_PARAMS, "$.after")


@pytest.mark.anyio
@pytest.mark.parametrize("cursor", ["db-99", "other-1", "nonsense"])
async def test_a_cursor_this_server_cannot_go_on_from_is_refused(cursor: str) -> None:
    world = World()
    await world.accept()
    with pytest.raises(ProtocolError) as refusal:
        await world.feeds.follow_key(KEY, cursor, Reader())
    assert refusal.value.code is ErrorCode.CURSOR_EXPIRED
    assert not list(world.table.bus.watched_keys())


@pytest.mark.anyio
async def test_a_subscription_that_cannot_be_opened_leaves_nothing_on_the_bus() -> None:
    world = World()
    job = await world.accept()
    world.forget_facts(job)
    task = await world.follow_late(job, 0, Reader())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(world.table.bus.watched_jobs())


@pytest.mark.anyio
async def test_without_a_cursor_only_what_happens_from_now_on_is_told() -> None:
    world = World()
    job = await world.accept()
    outlet = BufferedOutlet(10)
    subscription = await world.feeds.follow_key(KEY, None, outlet)
    assert subscription.cursor == "db-1"
    await world.happen(job, STARTED)
    assert [event.type for event in await outlet.take()] == ["job.started"]
    subscription.close()
    await world.happen(job, END)
    assert len(outlet) == 0
