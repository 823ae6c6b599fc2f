import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protocol.events import (
    Event,
    JobCancelled,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    OutputReady,
    OutputSkipped,
    QueueMoved,
    ServerDraining,
    StepFinished,
)
from protocol.requests import Webhook
from service import pump as pump_module
from service.database import StoreUnavailable
from service.drafts import Draft
from service.records import JobRecord
from tests.servers import DEADLINE_S
from tests.unit.service.parts import Table, queued, record

pytestmark = pytest.mark.anyio
STARTED = JobStarted(worker="w", device="d", attempt=1)
STEP = StepFinished(image=0, step=1, steps=2, progress=0.5)
OUTPUT = OutputReady(index=0, url="u", media_type="image/png", size_bytes=1, sha256="0")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def table() -> Table:
    return Table()


@asynccontextmanager
async def working(table: Table) -> AsyncIterator[None]:
    task = asyncio.create_task(table.pump.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.sleep(0)
            yield
    finally:
        task.cancel()


async def accept(table: Table, **about: object) -> JobRecord:
    job = record(**about)  # type: ignore[arg-type] # passed on
    await table.pump.put_and_wait(queued(job))
    return job


async def test_a_fact_is_stored_before_anyone_hears_of_it(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        table.pump.put([Draft(STARTED, job.id), Draft(STEP, job.id), Draft(OUTPUT, job.id)])
        await table.pump.drained()
    assert table.store.diary == [
        ("commit", [(job.id, 1)]),
        ("publish", job.id, 1),
        ("commit", [(job.id, 2), (job.id, 3)]),
        ("publish", job.id, 2),
        ("publish", job.id, 2),
        ("publish", job.id, 3),
    ]


async def test_while_one_commit_runs_the_next_batch_gathers(table: Table) -> None:
    gate = asyncio.Event()
    table.store.before_commit = gate.wait
    async with working(table):
        waiting = [asyncio.create_task(table.pump.put_and_wait(queued(record()))) for _ in range(50)]
        while not table.store.tries:
            await asyncio.sleep(0)
        waiting += [asyncio.create_task(table.pump.put_and_wait(queued(record()))) for _ in range(50)]
        gate.set()
        await asyncio.gather(*waiting)
    assert sum(len(batch.facts) for batch in table.store.batches) == 100
    assert len(table.store.batches) <= 2


async def test_hints_alone_cost_no_commit(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        table.pump.put([Draft(STEP, job.id), Draft(ServerDraining(), None)])
        await table.pump.drained()
    assert len(table.store.batches) == 1
    assert [(event.type, event.n) for event in table.heard[1:]] == [("step.finished", 1), ("server.draining", 1)]


async def test_cursors_rise_with_every_fact_and_the_stored_one_is_that_of_the_last(table: Table) -> None:
    async with working(table):
        first, second = await accept(table), await accept(table)
        table.pump.put([Draft(STARTED, second.id), Draft(STEP, second.id), Draft(STARTED, first.id)])
        await table.pump.drained()
    assert [event.cursor for event in table.heard if event.is_fact] == ["db-1", "db-2", "db-3", "db-4"]
    assert [number for _, number, _ in table.store.facts_stored] == [1, 2, 3, 4]
    assert table.pump.stored_cursor == 4


async def test_what_an_earlier_attempt_or_an_ended_job_tells_is_refused(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        table.pump.put([Draft(STARTED, job.id), Draft(JobRequeued(attempt=2, reason="x"), job.id)])
        assert await table.pump.put_and_wait(Draft(OUTPUT, job.id, attempt=1)) is None
        ended = await table.pump.put_and_wait(Draft(JobCancelled(reason="x"), job.id, attempt=2))
        assert ended is not None
        assert await table.pump.put_and_wait(Draft(JobSucceeded(duration_s=1), job.id, attempt=2)) is None
    assert [event.type for event in table.of(job.id)] == ["job.queued", "job.started", "job.requeued", "job.cancelled"]
    assert table.ledger.get(job.id) is None


async def test_a_store_that_fails_refuses_new_jobs_and_tells_those_who_wait(table: Table) -> None:
    async with working(table):
        table.store.broken = True
        job = record()
        with pytest.raises(StoreUnavailable):
            await table.pump.put_and_wait(queued(job))
        assert not table.pump.is_healthy
        assert table.ledger.get(job.id) is None
        table.store.broken = False
        other = await accept(table)
        assert table.pump.is_healthy
    assert [event.job_id for event in table.heard] == [other.id]
    assert [event.job_id for event, _, _ in table.store.facts_stored] == [other.id]


async def test_facts_of_accepted_jobs_are_kept_until_the_store_works_again(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "_RETRY_AFTER_S", 0)
    async with working(table):
        job = await accept(table, webhook=Webhook.model_validate({"url": "http://x/", "events": ["job.started"]}))
        table.store.broken = True
        table.pump.put([Draft(STARTED, job.id)])
        refused = record(webhook=Webhook.model_validate({"url": "http://x/", "events": ["job.queued"]}))
        draft = queued(refused)
        draft.rows = {**draft.rows, "idempotency": {"job_id": refused.id}}
        with pytest.raises(StoreUnavailable):
            await table.pump.put_and_wait(draft)
        while table.store.tries < 4:
            await asyncio.sleep(0)
        assert len(table.heard) == 1
        table.store.broken = False
        await table.pump.drained()
    assert [event.type for event in table.of(job.id)] == ["job.queued", "job.started"]
    last = table.store.batches[-1]
    assert [event.job_id for event, _, _ in last.facts] == [job.id]
    assert (last.new_jobs, last.idempotency, [row["job_id"] for row in last.webhooks]) == ([], [], [job.id])


async def test_a_pump_that_could_not_store_finds_out_by_itself_when_it_can_again(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "_RETRY_AFTER_S", 0)
    async with working(table):
        table.store.broken = True
        with pytest.raises(StoreUnavailable):
            await table.pump.put_and_wait(queued(record()))
        table.store.broken = False
        while not table.pump.is_healthy:
            await asyncio.sleep(0)


async def test_asking_for_a_cancel_is_remembered_without_an_event(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        assert await table.pump.put_and_wait(Draft(None, job.id)) is None
    assert table.store.batches[-1].cancels == [job.id]
    assert len(table.heard) == 1


async def test_an_output_is_stored_with_its_fact_and_a_new_job_with_its_rows(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        table.pump.put([Draft(STARTED, job.id), Draft(OUTPUT, job.id)])
        await table.pump.drained()
    accepted, later = table.store.batches
    assert (accepted.new_jobs, accepted.changed) == ([{"id": job.id}], {})
    assert [(row["job_id"], row["number"]) for row in later.outputs] == [(job.id, 0)]
    assert list(later.changed) == [job.id]


async def test_what_comes_right_after_a_new_job_is_stored_with_it_and_counted(table: Table) -> None:
    async with working(table):
        job = record()
        draft = queued(job)
        draft.rows = {**draft.rows, "foreign": {"job_id": job.id, "request": "{}"}}
        await table.pump.put_and_wait(draft, Draft(JobWarning(code="c", message="m"), job.id, record=job))
        await table.pump.drained()
    (batch,) = table.store.batches
    assert (len(batch.new_jobs), len(batch.foreign_requests), list(batch.changed)) == (1, 1, [job.id])
    assert [(event.type, event.seq) for event in table.of(job.id)] == [("job.queued", 1), ("job.warning", 2)]


async def test_a_new_job_that_cannot_be_stored_takes_its_warnings_with_it(table: Table) -> None:
    async with working(table):
        other = await accept(table)
        table.store.broken = True
        job = record()
        with pytest.raises(StoreUnavailable):
            await table.pump.put_and_wait(
                queued(job), Draft(JobWarning(code="c", message="m"), job.id, record=job), Draft(STARTED, other.id)
            )
        table.store.broken = False
        await table.pump.drained()
    assert table.of(job.id) == []
    assert [event.type for event in table.of(other.id)] == ["job.queued", "job.started"]
    assert [list(batch.changed) for batch in table.store.batches] == [[], [other.id]]


async def test_only_asked_for_facts_go_to_the_webhook_outbox(table: Table) -> None:
    async with working(table):
        job = await accept(table, webhook=Webhook.model_validate({"url": "http://x/hook"}))
        table.pump.put([Draft(STARTED, job.id), Draft(JobSucceeded(duration_s=1), job.id)])
        await table.pump.drained()
    rows = [row for batch in table.store.batches for row in batch.webhooks]
    assert [(row["url"], '"job.succeeded"' in row["event"]) for row in rows] == [("http://x/hook", True)]


async def test_a_fact_no_webhook_can_ask_for_does_no_harm_to_a_job_that_has_one(table: Table) -> None:
    async with working(table):
        job = await accept(table, webhook=Webhook.model_validate({"url": "http://x/hook"}))
        table.pump.put([Draft(STARTED, job.id), Draft(OutputSkipped(index=0), job.id)])
        await table.pump.drained()
    assert [event.type for event in table.of(job.id)] == ["job.queued", "job.started", "output.skipped"]
    assert not [row for batch in table.store.batches for row in batch.webhooks]


async def test_the_end_sets_when_a_job_expires(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        assert job.expires_at is None
        await table.pump.put_and_wait(Draft(JobCancelled(reason="x"), job.id))
    assert job.expires_at is not None
    assert job.finished_at is not None
    assert job.expires_at > job.finished_at


async def test_a_caller_that_goes_away_does_not_undo_what_is_being_stored(table: Table) -> None:
    gate = asyncio.Event()
    table.store.before_commit = gate.wait
    async with working(table):
        job = record()
        caller = asyncio.create_task(table.pump.put_and_wait(queued(job)))
        while not table.store.tries:
            await asyncio.sleep(0)
        caller.cancel()
        gate.set()
        await table.pump.drained()
    assert table.ledger.get(job.id) is job


async def test_latest_hints_are_remembered_until_a_fact_outdates_them(table: Table) -> None:
    async with working(table):
        job = await accept(table)
        table.pump.put([Draft(QueueMoved(position=3), job.id)])
        await table.pump.drained()
        assert job.position == 3
        table.pump.put([Draft(STARTED, job.id), Draft(STEP, job.id)])
        await table.pump.drained()
        assert (job.position, job.progress) == (None, 0.5)
        assert list(table.ledger.running) == [job.id]
        table.pump.put([Draft(JobRequeued(attempt=2, reason="x"), job.id)])
        await table.pump.drained()
        assert (job.progress, dict(table.ledger.running)) == (None, {})


async def test_an_event_is_offered_to_subscribers_in_order(table: Table) -> None:
    class Ear:
        def __init__(self) -> None:
            self.events: list[Event] = []

        def offer(self, event: Event) -> None:
            self.events.append(event)

    ear = Ear()
    async with working(table):
        job = await accept(table)
        table.bus.watch_job(job.id, ear)
        table.pump.put([Draft(STARTED, job.id), Draft(STEP, job.id), Draft(JobWarning(code="c", message=""), job.id)])
        table.pump.put([Draft(JobSucceeded(duration_s=1), job.id)])
        await table.pump.drained()
    assert [(event.type, event.seq) for event in ear.events] == [
        ("job.started", 2),
        ("step.finished", 2),
        ("job.warning", 3),
        ("job.succeeded", 4),
    ]
