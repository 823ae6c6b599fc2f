"""Submitting, cancelling and waiting, on a real file, with an engine that never does anything by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.interface import Run
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import JobRequeued, JobStarted, JobSucceeded, JobWarning, PreviewReady, StepFinished
from protocol.jobs import JobStatus
from service.auth import LOCAL, Key, Scope
from service.database import StoreUnavailable
from service.drafts import Draft
from service.errors import ServiceError
from service.local_broker import LocalBroker
from service.settings import Settings
from service.standalone import Standalone
from service.submissions import Submission
from service.wiring import Services, wire
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio
BODY = {"task": "test_pattern", "params": {"steps": 2}}
ALICE, BOB = (Key(name, name, frozenset(Scope) - {Scope.ADMIN}) for name in ("alice", "bob"))
ADMIN = Key("root", "root", frozenset(Scope))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Desk:
    """A service whose engine writes down what it is asked."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.jobs = services.jobs
        self.submissions = services.submissions
        self.runs: list[Run] = []
        self.cancelled: list[str] = []
        self.has_room = False
        services.engine.has_room = lambda _run: self.has_room  # type: ignore[method-assign]
        services.engine.submit = self.runs.append  # type: ignore[method-assign]
        assert isinstance(services.broker, LocalBroker)
        services.broker.on_cancel = lambda job_id, _reason: self.cancelled.append(job_id)

    async def submit(self, key: Key = ALICE, *, idempotency_key: str | None = None, body: object = BODY) -> str:
        return (await self.submissions.submit(Submission(body, key, idempotency_key))).job.id

    async def start(self, job_id: str) -> None:
        self.has_room = True
        self.services.queue.changed()
        while job_id not in [run.job_id for run in self.runs]:
            await asyncio.sleep(0)
        await self.tell(job_id, JobStarted(worker="w", device="d", attempt=1))

    async def tell(self, job_id: str, body: Any) -> None:
        await self.services.log.put_and_wait(Draft(body, job_id))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(
        engine="fake", data_dir=tmp_path, max_queued_jobs=6, max_queued_jobs_per_key=4  # type: ignore[arg-type] # a name
    )  # fmt: skip
    services = wire(settings)
    made = Desk(services)
    assert isinstance(services.role, Standalone)
    await services.store.open()
    tasks = [asyncio.create_task(work) for work in (services.log.run(), services.role.workbench.dispatcher.run())]
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.sleep(0)
        yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await services.store.close()


# ---- submitting ------------------------------------------------------------------------------------------------


async def test_an_accepted_job_is_stored_and_waits(desk: Desk) -> None:
    accepted = await desk.submissions.submit(Submission(BODY, ALICE))
    stored = await desk.services.store.job(accepted.job.id, ALICE.id)
    assert stored == accepted.job
    assert (stored.status, stored.seq, accepted.is_repeat) == (JobStatus.QUEUED, 1, False)
    assert accepted.job.id in desk.services.admission


async def test_a_repeated_idempotency_key_gets_the_first_answer(desk: Desk) -> None:
    first = await desk.submissions.submit(Submission(BODY, ALICE, "key"))
    await desk.start(first.job.id)
    await desk.tell(first.job.id, JobSucceeded(duration_s=1))
    second = await desk.submissions.submit(Submission({**BODY}, ALICE, "key"))
    assert (second.job, second.is_repeat) == (first.job, True)
    assert len(await desk.services.store.jobs(ALICE.id, limit=9)) == 1


async def test_an_idempotency_key_for_another_request_is_refused(desk: Desk) -> None:
    await desk.submit(idempotency_key="key")
    with pytest.raises(ProtocolError) as refusal:
        await desk.submit(idempotency_key="key", body={**BODY, "priority": "high"})
    assert refusal.value.code is ErrorCode.IDEMPOTENCY_MISMATCH


async def test_idempotency_keys_of_two_callers_are_two(desk: Desk) -> None:
    assert await desk.submit(ALICE, idempotency_key="key") != await desk.submit(BOB, idempotency_key="key")


async def test_the_same_submit_many_times_at_once_makes_one_job(desk: Desk) -> None:
    ids = await asyncio.gather(*(desk.submit(idempotency_key="key") for _ in range(20)))
    assert len(set(ids)) == 1
    assert len(desk.services.admission) == 1


async def test_a_key_whose_first_request_was_refused_is_free_again(desk: Desk) -> None:
    wrong = {"task": "test_pattern", "params": {"steps": -1}}
    refused, repeated = await asyncio.gather(
        desk.submit(idempotency_key="key", body=wrong),
        desk.submit(idempotency_key="key", body=wrong),
        return_exceptions=True,
    )
    assert isinstance(refused, ProtocolError)
    assert isinstance(repeated, ProtocolError)
    assert await desk.submit(idempotency_key="key")


async def test_a_caller_that_goes_away_has_its_job_accepted_whole(desk: Desk) -> None:
    calling = asyncio.create_task(desk.submit(idempotency_key="key"))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await desk.submissions.settle()
    again = await desk.submissions.submit(Submission(BODY, ALICE, "key"))
    assert again.is_repeat
    assert again.job.id in desk.services.admission


async def test_a_full_queue_says_when_to_come_back(desk: Desk) -> None:
    for _ in range(4):
        await desk.submit(ALICE)
    with pytest.raises(ServiceError, match="queue of this key is full: 4 jobs wait") as of_key:
        await desk.submit(ALICE)
    for _ in range(2):
        await desk.submit(BOB)
    with pytest.raises(ServiceError, match="the queue is full: 6 jobs wait") as of_all:
        await desk.submit(BOB)
    for refusal in (of_key, of_all):
        assert refusal.value.code is ErrorCode.QUEUE_FULL
        assert refusal.value.retry_after_s


async def test_jobs_that_are_sent_at_once_never_overfill_the_queue(desk: Desk) -> None:
    sent = [desk.submit(key) for key in (ALICE, BOB) for _ in range(5)]
    answers = await asyncio.gather(*sent, return_exceptions=True)
    refused = [str(answer) for answer in answers if isinstance(answer, ServiceError)]
    assert refused == ["the queue of this key is full: 4 jobs wait", *3 * ["the queue is full: 6 jobs wait"]]
    assert len(desk.services.admission) == desk.services.admission.taken == 6


async def test_a_submit_that_is_refused_gives_its_place_back(desk: Desk) -> None:
    async def fail(_batch: object) -> None:
        raise StoreUnavailable("disk full")

    commit = desk.services.store.commit
    desk.services.store.commit = fail  # type: ignore[method-assign]
    unknown_picture = {"task": "upscale", "params": {"image": "upload:none"}}
    for body in 5 * [BODY, unknown_picture]:
        with pytest.raises(ProtocolError) as refusal:
            await desk.submit(body=body)
        assert refusal.value.code is not ErrorCode.QUEUE_FULL
    desk.services.store.commit = commit  # type: ignore[method-assign]
    assert desk.services.admission.taken == 0
    for _ in range(4):
        await desk.submit()


async def test_a_draining_server_and_one_that_cannot_store_accept_nothing(desk: Desk) -> None:
    async def fail(_batch: object) -> None:
        raise StoreUnavailable("disk full")

    commit = desk.services.store.commit
    desk.services.store.commit = fail  # type: ignore[method-assign]
    with pytest.raises(ServiceError) as broken:
        await desk.submit()
    assert (broken.value.code, bool(broken.value.retry_after_s)) == (ErrorCode.NOT_READY, True)
    desk.services.store.commit = commit  # type: ignore[method-assign]
    desk.submissions.is_draining = True
    with pytest.raises(ServiceError) as draining:
        await desk.submit()
    assert (draining.value.code, bool(draining.value.retry_after_s)) == (ErrorCode.DRAINING, True)
    assert len(desk.services.admission) == 0


# ---- cancelling ------------------------------------------------------------------------------------------------


async def test_a_waiting_job_is_cancelled_at_once_and_never_reaches_the_engine(desk: Desk) -> None:
    job_id = await desk.submit()
    job = await desk.jobs.cancel(job_id, ALICE)
    assert job.status is JobStatus.CANCELLED
    assert job_id not in desk.services.admission
    assert desk.cancelled == []


async def test_a_running_job_is_asked_to_end_and_that_is_remembered(desk: Desk) -> None:
    job_id = await desk.submit()
    await desk.start(job_id)
    job = await desk.jobs.cancel(job_id, ALICE)
    assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)
    assert desk.cancelled == [job_id]
    (row,) = await desk.services.store.active_jobs()
    assert row["cancel_requested"] == 1


async def test_a_job_that_is_handed_back_after_it_was_asked_to_end_is_cancelled(desk: Desk) -> None:
    job_id = await desk.submit()
    await desk.start(job_id)
    await desk.jobs.cancel(job_id, ALICE)
    await desk.tell(job_id, JobRequeued(attempt=2, reason="shutdown"))
    assert (await desk.jobs.wait(job_id, ALICE, DEADLINE_S)).status is JobStatus.CANCELLED


async def test_cancelling_an_ended_an_unknown_or_anothers_job_says_so(desk: Desk) -> None:
    job_id = await desk.submit()
    with pytest.raises(ProtocolError) as anothers:
        await desk.jobs.cancel(job_id, BOB)
    assert anothers.value.code is ErrorCode.NOT_FOUND
    await desk.jobs.cancel(job_id, ALICE)
    with pytest.raises(ProtocolError, match="it has already been cancelled") as ended:
        await desk.jobs.cancel(job_id, ALICE)
    assert ended.value.code is ErrorCode.ALREADY_ENDED
    with pytest.raises(ProtocolError) as unknown:
        await desk.jobs.cancel("nothing", ALICE)
    assert unknown.value.code is ErrorCode.NOT_FOUND


async def test_an_admin_may_see_and_cancel_what_is_not_its_own(desk: Desk) -> None:
    job_id = await desk.submit(ALICE)
    assert (await desk.jobs.get(job_id, ADMIN)).id == job_id
    assert (await desk.jobs.cancel(job_id, ADMIN)).status is JobStatus.CANCELLED


# ---- looking ---------------------------------------------------------------------------------------------------


async def test_a_waiting_job_shows_its_place_and_a_running_one_its_progress(desk: Desk) -> None:
    await desk.submit()
    job_id = await desk.submit()
    assert (await desk.jobs.get(job_id, ALICE)).position == 1
    await desk.start(job_id)
    await desk.tell(job_id, StepFinished(image=0, step=1, steps=2, progress=0.5, eta_s=3))
    job = await desk.jobs.get(job_id, ALICE)
    assert (job.position, job.progress, job.eta_s) == (None, 0.5, 3)
    await desk.tell(job_id, JobSucceeded(duration_s=1))
    job = await desk.jobs.get(job_id, ALICE)
    assert (job.status, job.progress, job.eta_s, job.seq) == (JobStatus.SUCCEEDED, None, None, 3)


async def test_waiting_ends_with_the_job_or_with_the_time(desk: Desk) -> None:
    job_id = await desk.submit()
    assert (await desk.jobs.wait(job_id, ALICE, 0.01)).status is JobStatus.QUEUED
    waiting = asyncio.create_task(desk.jobs.wait(job_id, ALICE, DEADLINE_S))
    await asyncio.sleep(0)
    await desk.jobs.cancel(job_id, ALICE)
    assert (await waiting).status is JobStatus.CANCELLED
    assert desk.services.bus.subscriber_count() == 0


async def test_a_step_is_told_to_those_who_may_see_the_job(desk: Desk) -> None:
    job_id = await desk.submit()
    assert desk.jobs.step(job_id, ALICE) is None
    await desk.start(job_id)
    step = StepFinished(image=0, step=1, steps=2, progress=0.5)
    await desk.tell(job_id, step)
    assert desk.jobs.step(job_id, ALICE) == desk.jobs.step(job_id, ADMIN) == step
    assert desk.jobs.step(job_id, BOB) is None


async def test_what_a_dialects_client_asked_for_is_kept_and_what_has_no_effect_is_told_first(desk: Desk) -> None:
    note = JobWarning(code="c", message="m")
    submission = Submission(BODY, ALICE, asked={"prompt": "a cat"}, notes=[note])
    job = (await desk.submissions.submit(submission)).job
    assert await desk.services.store.asked(job.id) == {"prompt": "a cat"}
    assert [event.body for event in await desk.services.store.facts(job.id, 1)] == [note]
    assert (await desk.jobs.get(job.id, ALICE)).seq == 2


async def test_a_preview_is_shown_to_those_who_may_see_the_job(desk: Desk) -> None:
    job_id = await desk.submit()
    assert desk.jobs.preview(job_id, ALICE) is None
    await desk.start(job_id)
    await desk.tell(job_id, PreviewReady(image=0, step=1, width=1, height=1, media_type="image/jpeg", bytes=b"jpeg"))
    assert desk.jobs.preview(job_id, ALICE) == (b"jpeg", "image/jpeg")
    assert desk.jobs.preview(job_id, BOB) is None


async def test_a_listing_shows_a_callers_own_jobs_newest_first_in_pages(desk: Desk) -> None:
    ids = [await desk.submit() for _ in range(3)]
    await desk.submit(BOB)
    first = await desk.jobs.list(ALICE, limit=2)
    assert [job.id for job in first.jobs] == [ids[2], ids[1]]
    last = await desk.jobs.list(ALICE, cursor=first.next, limit=2)
    assert ([job.id for job in last.jobs], last.next) == ([ids[0]], None)
    assert [job.position for job in first.jobs] == [3, 2]  # the other key goes between the first two


async def test_a_local_caller_owns_what_it_submits(desk: Desk) -> None:
    job_id = await desk.submit(LOCAL)
    assert (await desk.jobs.get(job_id, LOCAL)).id == job_id
