"""What a server makes of what an earlier one left: on a real file, with everything between wired but the engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from engine.interface import Run
from protocol.errors import ErrorCode
from protocol.events import Event, JobCancelled, JobFailed, JobRequeued, JobStarted, OutputReady
from protocol.ids import new_id
from protocol.jobs import JobStatus
from service.auth import LOCAL
from service.drafts import Draft
from service.recovery import recover, remove_orphans
from service.settings import Settings
from service.standalone import Standalone
from service.submissions import Submission
from service.wiring import Services, wire
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio
BODY = {"task": "test_pattern", "params": {"images": 3, "width": 8, "height": 8}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(engine="fake", data_dir=tmp_path, max_attempts=3)  # type: ignore[arg-type] # read as a name


@asynccontextmanager
async def life(settings: Settings, *, room: bool = False) -> AsyncIterator[tuple[Services, list[Run]]]:
    """A server from start to a sudden end; its engine takes jobs if it has room, and never does anything."""
    services = wire(settings)
    assert isinstance(services.role, Standalone)
    bench = services.role.workbench
    taken: list[Run] = []
    services.engine.has_room = lambda _run: room  # type: ignore[method-assign]
    services.engine.submit = taken.append  # type: ignore[method-assign]
    await services.store.open()
    tasks = [asyncio.create_task(services.log.run()), asyncio.create_task(bench.dispatcher.run())]
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.sleep(0)
            await recover(
                services.store,
                services.ledger,
                count(1),
                services.queue,
                services.log,
                max_attempts=settings.max_attempts,
            )
            await services.log.drained()
            yield services, taken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.store.close()


async def submit(services: Services) -> str:
    return (await services.submissions.submit(Submission(BODY, LOCAL))).job.id


async def start(services: Services, job_id: str, attempt: int = 1) -> None:
    await services.log.put_and_wait(Draft(JobStarted(worker="w", device="d", attempt=attempt), job_id, attempt))


async def make_output(services: Services, job_id: str, index: int) -> None:
    stored = services.files.write(job_id, index, "image/png", b"png")
    body = OutputReady(
        index=index, url=stored.url, media_type="image/png", size_bytes=stored.size_bytes, sha256=stored.sha256
    )
    await services.log.put_and_wait(Draft(body, job_id))


async def last_fact(services: Services, job_id: str) -> Event:
    return (await services.store.facts(job_id, 0))[-1]


async def test_a_waiting_job_waits_again_in_its_old_order(settings: Settings) -> None:
    async with life(settings) as (services, _):
        ids = [await submit(services) for _ in range(3)]
    async with life(settings, room=True) as (services, taken):
        while len(taken) < 3:
            await asyncio.sleep(0)
        assert [run.job_id for run in taken] == ids
        assert {(run.attempt, run.first_image) for run in taken} == {(1, 0)}
        assert [(await last_fact(services, job_id)).type for job_id in ids] == ["job.queued"] * 3


async def test_a_running_job_is_requeued_and_goes_on_at_the_first_missing_image(settings: Settings) -> None:
    async with life(settings) as (services, _):
        job_id = await submit(services)
        await start(services, job_id)
        await make_output(services, job_id, 0)
        await make_output(services, job_id, 1)
    async with life(settings, room=True) as (services, taken):
        while not taken:
            await asyncio.sleep(0)
        fact = await last_fact(services, job_id)
        assert isinstance(fact.body, JobRequeued)
        assert (fact.seq, fact.body.attempt) == (5, 2)
        assert (taken[0].attempt, taken[0].first_image, taken[0].params.images) == (2, 2, 3)  # type: ignore[attr-defined]
        job = await services.jobs.get(job_id, LOCAL)
        assert (job.status, job.attempt, len(job.outputs)) == (JobStatus.QUEUED, 2, 2)
        assert services.files.output(job_id, 1, "image/png").read_bytes() == b"png"


async def test_a_job_that_was_asked_to_end_is_cancelled_instead(settings: Settings) -> None:
    async with life(settings) as (services, _):
        waiting, running = await submit(services), await submit(services)
        await start(services, running)
        for job_id in (waiting, running):
            await services.log.put_and_wait(Draft(None, job_id))
    async with life(settings, room=True) as (services, taken):
        for job_id in (waiting, running):
            assert isinstance((await last_fact(services, job_id)).body, JobCancelled)
        assert taken == []
        assert len(services.ledger) == 0


async def test_a_job_that_ends_the_server_again_and_again_is_failed(settings: Settings) -> None:
    async with life(settings) as (services, _):
        job_id = await submit(services)
        await start(services, job_id)
    for attempt in (2, 3):
        async with life(settings) as (services, _):
            assert isinstance((await last_fact(services, job_id)).body, JobRequeued)
            await start(services, job_id, attempt)
    async with life(settings) as (services, _):
        fact = await last_fact(services, job_id)
        assert isinstance(fact.body, JobFailed)
        assert fact.body.error.code is ErrorCode.ATTEMPTS_EXHAUSTED
        assert len(services.admission) == 0


async def test_being_handed_back_at_a_shutdown_does_not_count_against_a_job(settings: Settings) -> None:
    attempt = 1
    async with life(settings) as (services, _):
        job_id = await submit(services)
    for _ in range(5):
        async with life(settings) as (services, _):
            await start(services, job_id, attempt)
            body = JobRequeued(attempt=attempt + 1, reason="shutdown")
            await services.log.put_and_wait(Draft(body, job_id, attempt))
            attempt += 1
    async with life(settings) as (services, _):
        assert (await services.jobs.get(job_id, LOCAL)).status is JobStatus.QUEUED


async def test_facts_of_a_recovered_job_go_on_without_a_gap(settings: Settings) -> None:
    for _ in range(2):
        async with life(settings) as (services, _):
            if not await services.store.active_jobs():
                job_id = await submit(services)
            await start(services, job_id, (await services.jobs.get(job_id, LOCAL)).attempt)
    async with life(settings) as (services, _):
        facts = await services.store.facts(job_id, 0)
        assert [fact.seq for fact in facts] == [1, 2, 3, 4, 5]
        cursors = [services.store.cursor_number(fact.cursor or "") for fact in facts]
        assert cursors == sorted(set(cursors))


async def test_files_nobody_knows_are_removed_but_not_those_of_jobs_uploads_and_newcomers(settings: Settings) -> None:
    orphan_job, orphan_upload, known_upload = new_id(), new_id(), new_id()
    async with life(settings) as (services, _):
        known = await submit(services)
        files = services.files
        for job_id in (orphan_job, known):
            files.write(job_id, 0, "image/png", b"x")
        for upload_id in (orphan_upload, known_upload):
            files.upload(upload_id).parent.mkdir(parents=True, exist_ok=True)
            files.upload(upload_id).write_bytes(b"x")
        row = {"id": known_upload, "key_id": LOCAL.id, "name": None, "media_type": "image/png"}
        await services.store.add_upload({**row, "width": 1, "height": 1, "size_bytes": 1, "expires_at": "2100"})
    async with life(settings) as (services, _):
        newcomers: list[str] = []

        def meanwhile(_before: float) -> None:
            """Jobs and uploads whose files are there before they are accepted."""
            newcomers.extend(new_id() for _ in range(2))
            services.files.inputs(newcomers[0])
            path = services.files.upload(newcomers[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")

        services.files.remove_partial = meanwhile  # type: ignore[method-assign]
        await remove_orphans(services.store, services.files)
        assert set(services.files.job_ids()) == {known, newcomers[0]}
        assert set(services.files.upload_ids()) == {known_upload, newcomers[1]}
