"""In which order a job is taken away, and who hears of it when. No disk: the files are a list."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocol.events import Event, JobCancelled, JobRemoved
from service.drafts import Draft
from service.removal import Removal
from service.store import EndedJob
from service.thumbnails import Thumbnails
from tests.servers import DEADLINE_S
from tests.unit.service.parts import Table, queued, record

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Desk:
    """A table whose store and files write down what is taken from them; and a viewer of the key's jobs."""

    def __init__(self) -> None:
        self.table = Table()
        self.diary: list[object] = self.table.store.diary
        self.table.store.delete_jobs = self._delete  # type: ignore[attr-defined] # beside what a pump needs
        self.table.bus.watch_key("k", self)
        self.heard: list[Event] = []
        self.removal = Removal(
            self.table.store,  # type: ignore[arg-type] # all it uses of one
            self,  # type: ignore[arg-type] # likewise
            Thumbnails(),
            self.table.ledger,
            self.table.pump,
            self.table.projection,
            None,  # type: ignore[arg-type] # not asked here
        )

    def offer(self, event: Event) -> None:
        self.heard.append(event)

    def remove_job(self, job_id: str) -> None:
        self.diary.append(("files", job_id))

    async def _delete(self, job_ids: Sequence[str]) -> None:
        self.diary.append(("rows", list(job_ids)))


@asynccontextmanager
async def working() -> AsyncIterator[Desk]:
    desk = Desk()
    task = asyncio.create_task(desk.table.pump.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield desk
    finally:
        task.cancel()


def ended(job: Any) -> EndedJob:
    return EndedJob(job.id, job.key_id, 2, 1)


async def test_rows_go_first_then_it_is_told_then_the_files_go() -> None:
    async with working() as desk:
        await desk.removal.remove([EndedJob("a", "k", 7, 2), EndedJob("b", "other", 3, 1)], "asked")
    assert desk.diary == [
        ("rows", ["a", "b"]),
        ("publish", "a", 7),
        ("publish", "b", 3),
        ("files", "a"),
        ("files", "b"),
    ]
    (told,) = desk.heard  # what is of another key is not told to this one
    assert (told.job_id, told.seq, told.attempt, told.body) == ("a", 7, 2, JobRemoved(reason="asked"))
    assert not told.is_fact


async def test_a_job_whose_end_is_stored_but_not_yet_told_is_removed_after_that() -> None:
    async with working() as desk:
        job = record()
        await desk.table.pump.put_and_wait(queued(job))
        may_store = asyncio.Event()
        desk.table.store.before_commit = may_store.wait
        end = asyncio.create_task(desk.table.pump.put_and_wait(Draft(JobCancelled(reason="asked"), job.id)))
        removing = asyncio.create_task(desk.removal.remove([ended(job)], "asked"))
        await asyncio.wait([end, removing], timeout=0)
        may_store.set()
        await asyncio.gather(end, removing)
    assert [event.type for event in desk.heard] == ["job.queued", "job.cancelled", "job.removed"]


async def test_a_job_whose_end_is_never_told_stays() -> None:
    async with working() as desk:
        job = record()
        await desk.table.pump.put_and_wait(queued(job))
        await desk.removal.remove([ended(job)], "asked")
    assert desk.diary[-1] == ("rows", [])
    assert [event.type for event in desk.heard] == ["job.queued"]
