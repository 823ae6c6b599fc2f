"""What a broker promises, in one process and over a real NATS: the same tests for both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import (
    EventBody,
    JobCancelled,
    JobFailed,
    JobRequeued,
    JobWarning,
    OutputSkipped,
    StepFinished,
)
from protocol.jobs import JobStatus
from protocol.requests import Priority, TaskName
from service.admission import Admission
from service.broker import Claim, Doer, Earlier, Taker
from service.bus import Bus
from service.cluster.names import Names
from service.drafts import Draft
from service.ledger import Ledger
from service.local_broker import LocalBroker
from service.projection import Projection
from service.pump import Pump
from service.queue_view import QueueView
from service.records import JobRecord
from service.settings import Settings, load
from service.store import Store
from tests.cluster.desks import drafts, gateway_desk, worker_desk
from tests.cluster.jobs import SUCCEEDED, Heard, a_job, fits, output, started
from tests.cluster.members import eventually, running
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

WARNING = JobWarning(code="no_effect", message="the parameter has none")
FAILED = JobFailed(error=ProtocolError(ErrorCode.INTERNAL, "it broke").body())


@dataclass
class Brokers:
    """Both ends, and what is heard at the end of the clients."""

    taker: Taker
    doer: Doer
    heard: Heard
    ledger: Ledger
    bus: Bus
    store: Store
    stored: Callable[[str], Awaitable[int]]
    """How many facts of a job are stored."""
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    async def submit(self, job: Draft, *notes: EventBody) -> str:
        assert job.job_id is not None
        await self.taker.submit(job, *(Draft(note, job.job_id, record=job.record) for note in notes))
        return job.job_id

    async def claim(self) -> Claim:
        async with asyncio.timeout(DEADLINE_S):
            return await self.doer.claim(fits)

    async def begun(self, job: Draft | None = None) -> Claim:
        """A job that runs."""
        await self.submit(job or a_job())
        claim = await self.claim()
        self.tell(claim, started(claim.record.attempt))
        await self.heard.until(claim.record.id, "job.started", times=claim.record.attempt)
        return claim

    def tell(self, claim: Claim, *bodies: EventBody) -> None:
        self.doer.publish(drafts(claim, bodies))

    def record(self, job_id: str) -> JobRecord:
        record = self.ledger.get(job_id)
        assert record is not None
        return record

    def watch(self, job_id: str) -> None:
        """Somebody looks at a job, as a socket does."""
        self.bus.watch_job(job_id, _Viewer())
        self.taker.watch(self.record(job_id))


class _Viewer:
    def offer(self, event: object) -> None:
        pass


@asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[Brokers]:
    store, ledger, bus, admission = Store(folder), Ledger(), Bus(), Admission()
    await store.open()
    projection = Projection(ledger, bus, job_ttl_s=60)
    pump = Pump(ledger, store, bus, projection)
    broker = LocalBroker(admission, ledger, store, pump)
    queue = QueueView(admission, ledger, bus, pump)

    async def stored(job_id: str) -> int:
        return len(await store.facts(job_id, 0))

    brokers = Brokers(broker, broker, Heard(), ledger, bus, store, stored)
    broker.on_cancel = lambda job_id, reason: brokers.cancelled.append((job_id, reason))
    broker.on_skip = brokers.skipped.append
    queue.on_change = broker.wake
    projection.listeners += [queue, brokers.heard]
    try:
        async with running(pump.run()):
            await asyncio.sleep(0)
            yield brokers
    finally:
        await store.close()


@asynccontextmanager
async def over_nats(folder: Path, settings: Settings) -> AsyncIterator[Brokers]:
    async with gateway_desk(settings, folder / "gateway") as gateway, worker_desk(settings, folder / "one") as worker:

        async def stored(job_id: str) -> int:
            return len(await gateway.writer.history(job_id))

        yield Brokers(
            gateway.broker,
            worker.broker,
            gateway.heard,
            gateway.ledger,
            gateway.services.bus,
            gateway.store,
            stored,
            worker.engine.cancelled,
            worker.engine.skipped,
        )


@pytest.fixture(params=["in one process", "over NATS"])
async def brokers(
    request: pytest.FixtureRequest, nats: NatsServer, names: Names, tmp_path: Path
) -> AsyncIterator[Brokers]:
    if request.param == "in one process":
        async with in_process(tmp_path) as made:
            yield made
        return
    (tmp_path / "objects").mkdir()
    at = (tmp_path / "objects").as_uri()
    settings = load(None, {"nats_url": nats.url, "cluster": names.cluster, "objects_url": at, "worker_lost_s": 4})
    async with over_nats(tmp_path, settings) as made:
        yield made


# ---- taking jobs in ------------------------------------------------------------------------------------------


async def test_a_submitted_job_is_stored_and_known_when_submit_returns(brokers: Brokers) -> None:
    job_id = await brokers.submit(a_job())
    job = await brokers.store.job(job_id, "anna")
    assert job is not None
    assert (job.status, job.seq, job.attempt, job.labels) == (JobStatus.QUEUED, 1, 1, {"colour": "red"})
    assert brokers.heard.facts(job_id) == [(1, "job.queued")]
    record = brokers.record(job_id)
    assert (record.status, record.seq) == (JobStatus.QUEUED, 1)


async def test_notes_of_a_submit_follow_it_in_order_and_before_the_start(brokers: Brokers) -> None:
    second = JobWarning(code="capped", message="too much")
    job_id = await brokers.submit(a_job(), WARNING, second)
    claim = await brokers.claim()
    brokers.tell(claim, started())
    await brokers.heard.until(job_id, "job.started")
    facts = [event.body for event in brokers.heard.of(job_id) if event.is_fact]
    assert facts[1:3] == [WARNING, second]
    assert [seq for seq, _ in brokers.heard.facts(job_id)] == [1, 2, 3, 4]


async def test_an_idempotency_key_makes_one_job(brokers: Brokers) -> None:
    row = {"key_id": "anna", "idempotency_key": "k", "body_sha256": "digest", "created_at": "2099-01-01T00:00:00.000Z"}
    job = a_job(more={"idempotency": row})
    assert job.job_id is not None
    assert await brokers.taker.reserve("anna", "k", "digest", job.job_id) is None
    await brokers.submit(job)
    for digest in ("digest", "another"):
        assert await brokers.taker.reserve("anna", "k", digest, "other") == Earlier(job.job_id, "digest")
    assert await brokers.taker.reserve("bert", "k", "digest", "other") is None
    assert await brokers.taker.reserve("anna", "k2", "digest", "other") is None


async def test_an_idempotency_key_of_a_job_that_was_not_accepted_makes_another(brokers: Brokers) -> None:
    assert await brokers.taker.reserve("anna", "k", "digest", "first") is None
    await brokers.taker.release("anna", "k", "first")
    assert await brokers.taker.reserve("anna", "k", "another digest", "second") is None


# ---- claiming ------------------------------------------------------------------------------------------------


async def test_a_claim_has_what_was_asked_for(brokers: Brokers) -> None:
    job_id = await brokers.submit(a_job(params={"seed": 5, "steps": 7}, priority=Priority.HIGH))
    claim = await brokers.claim()
    assert claim.record.id == job_id
    assert (claim.record.attempt, claim.record.outputs, claim.record.key_id) == (1, 0, "anna")
    assert claim.request.task is TaskName.TEST_PATTERN
    assert claim.request.params.model_dump()["seed"] == 5
    assert (claim.request.priority, claim.inputs) == (Priority.HIGH, {})


async def test_a_claim_waits_for_a_job(brokers: Brokers) -> None:
    claiming = asyncio.create_task(brokers.claim())
    await asyncio.sleep(0)
    job_id = await brokers.submit(a_job())
    assert (await claiming).record.id == job_id


async def test_interactive_jobs_are_claimed_before_high_before_normal_before_low(brokers: Brokers) -> None:
    low = await brokers.submit(a_job(priority=Priority.LOW))
    normal = await brokers.submit(a_job(priority=Priority.NORMAL))
    high = await brokers.submit(a_job(priority=Priority.HIGH))
    brush = await brokers.submit(a_job(TaskName.ADJUST_MASK, params={"mask": "upload:x", "operation": "reverse"}))
    assert [(await brokers.claim()).record.id for _ in range(4)] == [brush, high, normal, low]


async def test_each_job_is_claimed_once(brokers: Brokers) -> None:
    submitted = [await brokers.submit(a_job()) for _ in range(8)]
    claimed = [(await brokers.claim()).record.id for _ in range(8)]
    assert claimed == submitted


async def test_a_job_there_is_no_room_for_waits_until_there_is(brokers: Brokers) -> None:
    job_id = await brokers.submit(a_job())
    asked = asyncio.Event()
    has_room = False

    def fits_then(_claim: Claim) -> bool:
        asked.set()
        return has_room

    claiming = asyncio.create_task(brokers.doer.claim(fits_then))
    async with asyncio.timeout(DEADLINE_S):
        await asked.wait()
    brush = await brokers.submit(a_job(TaskName.ADJUST_MASK, params={"mask": "upload:x", "operation": "reverse"}))
    assert not claiming.done()
    has_room = True
    brokers.doer.wake()
    async with asyncio.timeout(DEADLINE_S):
        first = await claiming
    assert {first.record.id, (await brokers.claim()).record.id} == {job_id, brush}


async def test_nothing_is_claimed_after_a_pause(brokers: Brokers) -> None:
    claiming = asyncio.create_task(brokers.doer.claim(fits))
    await asyncio.sleep(0)
    brokers.doer.pause()
    waiting = [await brokers.submit(a_job()) for _ in range(10)]
    for job_id in waiting:
        assert not claiming.done()
        await brokers.taker.cancel(brokers.record(job_id), "enough")
        await brokers.heard.until(job_id, "job.cancelled")
    claiming.cancel()


async def test_a_cancelled_claim_takes_no_job_with_it(brokers: Brokers) -> None:
    claiming = asyncio.create_task(brokers.doer.claim(fits))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.wait([claiming])
    job_id = await brokers.submit(a_job())
    assert (await brokers.claim()).record.id == job_id


# ---- telling -------------------------------------------------------------------------------------------------


async def test_facts_are_numbered_without_gap_and_stored_in_order(brokers: Brokers) -> None:
    claim = await brokers.begun()
    job_id = claim.record.id
    brokers.tell(claim, *(body for index in range(10) for body in (output(index), WARNING)), SUCCEEDED)
    await brokers.heard.until(job_id, "job.succeeded")
    told = [event for event in brokers.heard.of(job_id) if event.is_fact]
    assert [event.seq for event in told] == list(range(1, 24))
    assert [event.body.index for event in told if event.type == "output.ready"] == list(range(10))
    assert await brokers.taker.replay(job_id, 0) == told
    assert await brokers.taker.replay(job_id, 20) == told[20:]
    assert len({event.cursor for event in told}) == 23


async def test_what_was_published_is_stored_once_it_is_settled(brokers: Brokers) -> None:
    claim = await brokers.begun()
    brokers.tell(claim, *(WARNING for _ in range(60)))
    async with asyncio.timeout(DEADLINE_S):
        await brokers.doer.settled()
    assert await brokers.stored(claim.record.id) == 62
    brokers.tell(claim, SUCCEEDED)
    async with asyncio.timeout(DEADLINE_S):
        await brokers.doer.settled()
    assert await brokers.stored(claim.record.id) == 63


async def test_hints_say_the_fact_before_them_and_rise(brokers: Brokers) -> None:
    claim = await brokers.begun()
    job_id = claim.record.id
    brokers.watch(job_id)
    await _shown(brokers, claim)
    for step in range(2, 12):
        brokers.tell(claim, StepFinished(image=0, step=step, steps=20, progress=step / 20))
        if step == 6:
            brokers.tell(claim, WARNING)
        await brokers.heard.until_true(lambda step=step: _steps(brokers, job_id)[-1] == step, f"step {step}")  # type: ignore[misc]
    hints = brokers.heard.hints(job_id, "step.finished")
    assert [step for step in _steps(brokers, job_id) if step > 1] == list(range(2, 12))
    numbers = [hint.n or 0 for hint in hints]
    assert numbers == sorted(set(numbers))
    assert {hint.attempt for hint in hints} == {1}
    seqs = {hint.body.step: hint.seq for hint in hints if isinstance(hint.body, StepFinished)}
    assert {seqs[step] for step in (2, 3, 4, 5)} == {2}
    assert {seqs[step] for step in (7, 8, 9, 10, 11)} == {3}


async def _shown(brokers: Brokers, claim: Claim) -> None:
    """Tell a first step until it is heard: before anybody listens hints go by."""
    for _ in range(200):
        brokers.tell(claim, StepFinished(image=0, step=1, steps=20, progress=0.05))
        await brokers.doer.settled()
        if _steps(brokers, claim.record.id):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no hint was heard")


def _steps(brokers: Brokers, job_id: str) -> list[int]:
    return [
        hint.body.step for hint in brokers.heard.hints(job_id, "step.finished") if isinstance(hint.body, StepFinished)
    ]


@pytest.mark.parametrize("end", [SUCCEEDED, FAILED, JobCancelled(reason="enough")], ids=lambda end: end.TYPE)
async def test_a_job_has_one_end_and_nothing_after_it(brokers: Brokers, end: EventBody) -> None:
    claim = await brokers.begun()
    job_id = claim.record.id
    brokers.tell(claim, end, SUCCEEDED, WARNING, output(0), FAILED)
    await brokers.heard.until(job_id, end.TYPE)
    brokers.tell(claim, SUCCEEDED, WARNING)
    await brokers.begun()  # whatever else had been told would be there by now
    assert brokers.heard.facts(job_id) == [(1, "job.queued"), (2, "job.started"), (3, end.TYPE)]
    assert [event.type for event in await brokers.taker.replay(job_id, 2)] == [end.TYPE]
    job = await brokers.store.job(job_id, "anna")
    assert job is not None
    assert job.status.is_terminal
    assert job_id not in brokers.ledger


async def test_a_job_that_is_handed_back_is_claimed_again_in_the_next_attempt(brokers: Brokers) -> None:
    claim = await brokers.begun()
    job_id, attempt = claim.record.id, claim.record.attempt
    brokers.tell(claim, output(0), OutputSkipped(index=1), JobRequeued(attempt=2, reason="stopping"))
    again = await brokers.claim()
    assert (again.record.id, again.record.attempt, again.record.outputs) == (job_id, 2, 2)
    brokers.doer.publish([Draft(body, job_id, attempt) for body in (WARNING, FAILED)])  # the attempt before speaks late
    brokers.tell(again, started(2), output(2), SUCCEEDED)
    await brokers.heard.until(job_id, "job.succeeded")
    assert brokers.heard.facts(job_id)[4:] == [
        (5, "job.requeued"),
        (6, "job.started"),
        (7, "output.ready"),
        (8, "job.succeeded"),
    ]
    job = await brokers.store.job(job_id, "anna")
    assert job is not None
    assert [ready.index for ready in job.outputs] == [0, 2]


async def test_what_is_told_of_a_job_nobody_knows_is_dropped(brokers: Brokers) -> None:
    brokers.doer.publish([Draft(SUCCEEDED, "nobody"), Draft(WARNING, "nobody")])
    await brokers.begun()
    assert brokers.heard.of("nobody") == []


async def test_a_claim_that_is_beaten_stays(brokers: Brokers) -> None:
    claim = await brokers.begun()
    for _ in range(3):
        await brokers.doer.beat()
    brokers.tell(claim, SUCCEEDED)
    await brokers.heard.until(claim.record.id, "job.succeeded")
    assert brokers.heard.facts(claim.record.id)[-1] == (3, "job.succeeded")


# ---- asking of jobs ------------------------------------------------------------------------------------------


async def test_a_waiting_job_that_is_cancelled_ends_at_once_and_is_not_claimed(brokers: Brokers) -> None:
    job_id = await brokers.submit(a_job())
    other = await brokers.submit(a_job())
    await brokers.taker.cancel(brokers.record(job_id), "enough")
    ended = await brokers.heard.until(job_id, "job.cancelled")
    assert ended.body == JobCancelled(reason="enough")
    assert brokers.heard.facts(job_id) == [(1, "job.queued"), (2, "job.cancelled")]
    assert (await brokers.claim()).record.id == other
    assert brokers.cancelled == []


async def test_a_running_job_that_is_cancelled_is_asked_to_end(brokers: Brokers) -> None:
    claim = await brokers.begun()
    bystander = await brokers.begun()
    await brokers.taker.cancel(brokers.record(claim.record.id), "enough")
    assert brokers.record(claim.record.id).cancel_requested
    await eventually(lambda: brokers.cancelled == [(claim.record.id, "enough")], "the engine to be asked")
    assert brokers.heard.facts(claim.record.id)[-1] == (2, "job.started")
    brokers.tell(claim, JobCancelled(reason="enough"))
    await brokers.heard.until(claim.record.id, "job.cancelled")
    assert brokers.heard.facts(bystander.record.id)[-1] == (2, "job.started")


async def test_a_job_that_is_cancelled_and_then_handed_back_does_not_start_again(brokers: Brokers) -> None:
    claim = await brokers.begun()
    await brokers.taker.cancel(brokers.record(claim.record.id), "enough")
    await eventually(lambda: bool(brokers.cancelled), "the engine to be asked")
    brokers.tell(claim, JobRequeued(attempt=2, reason="stopping"))
    claiming = asyncio.create_task(brokers.claim())
    await brokers.heard.until(claim.record.id, "job.cancelled")
    other = await brokers.submit(a_job())
    assert (await claiming).record.id == other
    assert [kind for _, kind in brokers.heard.facts(claim.record.id)].count("job.started") == 1


async def test_a_running_job_can_be_asked_to_leave_out_its_image(brokers: Brokers) -> None:
    claim = await brokers.begun()
    brokers.taker.skip("nobody")
    brokers.taker.skip(claim.record.id)
    await eventually(lambda: claim.record.id in brokers.skipped, "the engine to be asked")
