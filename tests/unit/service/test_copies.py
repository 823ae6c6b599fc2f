import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocol.events import JobStarted, JobSucceeded, JobWarning, OutputReady, StepFinished
from service.copies import _AT_ONCE, Copies
from service.drafts import Draft
from service.files import Files
from service.object_store import NotStored
from service.records import JobRecord
from service.storage import StoragePlace
from tests.servers import DEADLINE_S
from tests.unit.service.parts import Table, queued, record
from tests.unit.service.tally import Tally

pytestmark = pytest.mark.anyio
PLACE = StoragePlace(folder=Path("/nowhere"), public_url="https://img.example", timeout_s=DEADLINE_S)
STEP = StepFinished(image=1, step=1, steps=2, progress=0.5)
SUCCEEDED = JobSucceeded(duration_s=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def output(index: int = 0) -> OutputReady:
    return OutputReady(index=index, url=f"/v1/x/{index}", media_type="image/png", size_bytes=1, sha256="0")


class Storing:
    """A store whose answers wait until they may be given."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def put(self, name: str, path: Path, media_type: str) -> str:
        self.names.append(name)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return f"https://img.example/{name}"


class Stage:
    """Copies before a pump on a fake store."""

    def __init__(self, folder: Path, place: StoragePlace = PLACE) -> None:
        self.table = Table()
        self.labels: dict[str, dict[str, str]] = {}
        self.looked_up = Tally()
        self.storing = Storing()
        self.copies = Copies(self.table.broker, self._labels, Files(folder), place=place, storing=self.storing)

    async def _labels(self, job_id: str) -> dict[str, str] | None:
        self.looked_up.add()
        return self.labels.get(job_id)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.table.pump.run()), asyncio.create_task(self.copies.run())]
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield
        finally:
            for task in tasks:
                task.cancel()

    async def started(self) -> JobRecord:
        job = record()
        await self.table.pump.put_and_wait(queued(job))
        self.copies.take([Draft(JobStarted(worker="w", device="d", attempt=1), job.id)])
        return job

    def take(self, job: JobRecord, *bodies: Any) -> None:
        self.copies.take([Draft(body, job.id) for body in bodies])

    async def told(self) -> None:
        await self.copies.settle(DEADLINE_S)
        await self.table.pump.drained()


async def test_an_output_is_told_of_with_the_address_of_its_copy_and_before_the_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    async with stage.working():
        job = await stage.started()
        stage.take(job, output(0), output(1), SUCCEEDED)
        await stage.told()
    bodies = [event.body for event in stage.table.of(job.id)][2:]
    assert [type(body) for body in bodies] == [OutputReady, OutputReady, JobSucceeded]
    assert [body.public_url for body in bodies if isinstance(body, OutputReady)] == [
        f"https://img.example/{job.id}-{index}.png" for index in (0, 1)
    ]
    assert [body.url for body in bodies if isinstance(body, OutputReady)] == ["/v1/x/0", "/v1/x/1"]


async def test_while_a_copy_is_on_its_way_the_facts_of_its_job_wait_and_nothing_else_does(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.storing.may_answer.clear()
    async with stage.working():
        slow, other = await stage.started(), await stage.started()
        stage.take(slow, output(0), STEP, SUCCEEDED)
        stage.take(other, STEP, SUCCEEDED)
        await stage.table.pump.drained()
        assert [event.type for event in stage.table.of(slow.id)][2:] == ["step.finished"]
        assert [event.type for event in stage.table.of(other.id)][2:] == ["step.finished", "job.succeeded"]
        stage.storing.may_answer.set()
        await stage.told()
    assert [event.type for event in stage.table.of(slow.id)][3:] == ["output.ready", "job.succeeded"]


@pytest.mark.parametrize("kind", [NotStored, RuntimeError])
async def test_an_output_that_cannot_be_copied_is_told_of_after_a_warning(
    tmp_path: Path, kind: type[Exception]
) -> None:
    stage = Stage(tmp_path)
    stage.storing.error = kind("the bucket minio.internal is gone")
    async with stage.working():
        job = await stage.started()
        stage.take(job, output(), SUCCEEDED)
        await stage.told()
    warning, made, ended = [event.body for event in stage.table.of(job.id)][2:]
    assert isinstance(warning, JobWarning)
    assert warning.code == "storage_failed"
    assert "minio.internal" not in warning.message
    assert made == output()
    assert isinstance(ended, JobSucceeded)


async def test_a_store_that_does_not_answer_is_waited_for_no_longer_than_the_settings_say(tmp_path: Path) -> None:
    stage = Stage(tmp_path, StoragePlace(folder=Path("/x"), public_url="http://h", timeout_s=0.01))
    stage.storing.may_answer.clear()
    async with stage.working():
        job = await stage.started()
        stage.take(job, output(), SUCCEEDED)
        await stage.told()
    assert [event.type for event in stage.table.of(job.id)][2:] == ["job.warning", "output.ready", "job.succeeded"]


async def test_a_server_that_stops_tells_of_what_is_on_its_way_as_not_copied(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.storing.may_answer.clear()
    async with stage.working():
        job = await stage.started()
        stage.take(job, output(), SUCCEEDED)
        await stage.copies.settle(0.01)
        await stage.table.pump.drained()
    assert [event.type for event in stage.table.of(job.id)][2:] == ["job.warning", "output.ready", "job.succeeded"]


async def test_a_store_that_is_slow_gets_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    stage = Stage(tmp_path, replace(PLACE, dialects=("sd_api",)))
    stage.storing.may_answer.clear()
    results: list[str] = []
    stage.copies.on_result = results.append
    async with stage.working():
        jobs = [await stage.started() for _ in range(_AT_ONCE + 4)]
        stage.labels = {job.id: {"dialect": "sd_api"} for job in jobs}
        for job in jobs:
            stage.take(job, output(), SUCCEEDED)
        # Behind the look at its row each has asked the store, or waits for its turn to.
        await stage.looked_up.reaches(len(jobs))
        assert len(stage.storing.names) == _AT_ONCE
        stage.storing.may_answer.set()
        await stage.told()
    assert len(stage.storing.names) == len(jobs)
    assert results == ["stored"] * len(jobs)


async def test_only_outputs_of_the_dialects_named_are_copied(tmp_path: Path) -> None:
    stage = Stage(tmp_path, StoragePlace(folder=Path("/x"), public_url="http://h", dialects=("sd_api",)))
    async with stage.working():
        ours, theirs, unknown = [await stage.started() for _ in range(3)]
        stage.labels = {ours.id: {}, theirs.id: {"dialect": "sd_api"}}
        for job in (ours, theirs, unknown):
            stage.take(job, output(), SUCCEEDED)
        await stage.told()
    assert stage.storing.names == [f"{theirs.id}-0.png"]
    assert [event.type for event in stage.table.of(ours.id)][2:] == ["output.ready", "job.succeeded"]


async def test_without_a_place_everything_passes_at_once(tmp_path: Path) -> None:
    table = Table()
    copies = Copies(table.broker, table.store.labels, Files(tmp_path), place=None, storing=None)
    copies.take([Draft(output(), "j"), Draft(SUCCEEDED, "j")])
    assert [draft.body for draft in table.pump._waiting] == [output(), SUCCEEDED]
