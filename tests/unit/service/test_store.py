"""The store on a real file."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from protocol.events import Event, JobCancelled, JobQueued, JobStarted, OutputReady
from protocol.jobs import JobStatus
from protocol.requests import Priority, TaskName
from service.database import StoreUnavailable
from service.job_filter import JobFilter
from service.job_views import EndedJob, ForeignIds
from service.migrations import DATABASE_NAME, NewerDatabase
from service.records import JobRecord
from service.store import Batch, Store, UnknownCursor
from tests.unit.service.parts import record

pytestmark = pytest.mark.anyio
AT = "2026-01-01T00:00:00.000Z"
QUEUED = JobQueued(task=TaskName.TEST_PATTERN, priority=Priority.NORMAL)
LAST = 10**9
QUOTED = 'say "é" \\'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path)
    await made.open()
    yield made
    await made.close()


def job_row(job: JobRecord, **about: object) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": job.id,
        "key_id": job.key_id,
        "task": job.task,
        "priority": job.priority,
        "previews": job.previews,
        "params": "{}",
        "given": None,
        "labels": '{"colour": "red"}',
        "webhook": None,
        "inputs": "{}",
        "input_pixels": 0,
        "created_at": job.created_at,
    }
    return row | about


def fact(job: JobRecord, cursor: int, seq: int, body: Any = QUEUED) -> tuple[Event, int, str]:
    return Event(body, job_id=job.id, seq=seq, at=AT), cursor, job.key_id


async def accept(store: Store, cursor: int, key_id: str = "k", **about: object) -> JobRecord:
    job = record(key_id=key_id)
    job.status, job.seq = JobStatus.QUEUED, 1
    await store.commit(Batch(facts=[fact(job, cursor, 1)], new_jobs=[job_row(job, **about)]))
    return job


async def test_a_job_is_read_as_it_was_stored(store: Store) -> None:
    job = await accept(store, 1)
    read = await store.job(job.id, "k")
    assert read is not None
    assert (read.id, read.status, read.seq, read.attempt) == (job.id, JobStatus.QUEUED, 1, 1)
    assert (read.labels, read.outputs, read.error) == ({"colour": "red"}, (), None)


async def test_a_job_is_shown_to_its_key_and_to_whoever_may_see_all(store: Store) -> None:
    job = await accept(store, 1, "mine")
    assert await store.job(job.id, "other") is None
    assert await store.job(job.id, None) is not None
    assert await store.job("none", None) is None


async def test_a_job_is_found_by_the_id_a_dialect_gave_it_the_newest_one_and_only_by_its_key(store: Store) -> None:
    labels = '{"dialect": "d", "foreign_id": "a"}'
    first = await accept(store, 1, labels=labels)
    assert (await store.job_with_foreign_id("k", "d", "a")).id == first.id  # type: ignore[union-attr]
    second = await accept(store, 2, labels=labels)
    assert (await store.job_with_foreign_id("k", "d", "a")).id == second.id  # type: ignore[union-attr]
    for wrong in (("other", "d", "a"), ("k", "e", "a"), ("k", "d", "b")):
        assert await store.job_with_foreign_id(*wrong) is None


async def test_jobs_with_foreign_ids_are_counted_by_status_and_named_until_they_end(store: Store) -> None:
    jobs = [
        await accept(store, cursor, labels=f'{{"dialect": "d", "foreign_id": "id{cursor}"}}') for cursor in (1, 2, 3)
    ]
    await accept(store, 4)
    await accept(store, 5, labels='{"dialect": "d"}')
    jobs[2].status = JobStatus.SUCCEEDED
    await store.commit(Batch(facts=[fact(jobs[2], 6, 2)], changed={jobs[2].id: jobs[2]}))
    assert await store.foreign_ids("k", "d") == {
        JobStatus.QUEUED: ForeignIds(2, ("id1", "id2")),
        JobStatus.SUCCEEDED: ForeignIds(1),
    }
    assert await store.foreign_ids("k", "e") == {}


async def test_jobs_of_a_dialect_come_newest_first_with_what_was_asked_for(store: Store) -> None:
    labels = '{"dialect": "d"}'
    first, second = await accept(store, 1, labels=labels), await accept(store, 2, labels=labels)
    await accept(store, 3, labels='{"dialect": "other"}')
    await accept(store, 4, "somebody else", labels=labels)
    await store.commit(Batch(foreign_requests=[{"job_id": second.id, "request": '{"prompt": "a cat"}'}]))
    found = await store.jobs_of_dialect("k", "d", limit=9)
    assert [(each.job.id, each.asked) for each in found] == [(second.id, {"prompt": "a cat"}), (first.id, {})]
    assert [each.job.id for each in await store.jobs_of_dialect("k", "d", limit=1, offset=1)] == [first.id]
    assert await store.asked(second.id) == {"prompt": "a cat"}
    assert await store.asked(first.id) == {}


async def test_jobs_of_a_dialect_that_have_ended_are_told_apart_and_counted(store: Store) -> None:
    ended, waiting = [await accept(store, number, labels='{"dialect": "d"}') for number in (1, 2)]
    ended.status, ended.seq = JobStatus.CANCELLED, 2
    body = JobCancelled(reason="asked")
    await store.commit(Batch(facts=[fact(ended, 3, 2, body)], changed={ended.id: ended}))
    for has_ended, job in ((True, ended), (False, waiting)):
        found = await store.jobs_of_dialect("k", "d", has_ended=has_ended, limit=9)
        assert [each.job.id for each in found] == [job.id]
        (times,) = await store.times_of_dialect("k", "d", has_ended=has_ended, limit=9)
        assert (times.id, times.status, times.created_at) == (job.id, job.status, job.created_at)
    counts = await store.counts_of_dialect("k", "d")
    assert {status: (each.count, each.newest) for status, each in counts.items()} == {
        JobStatus.CANCELLED: (1, ended.id),
        JobStatus.QUEUED: (1, waiting.id),
    }


async def test_a_job_is_found_by_the_name_of_its_files_the_newest_one_whoever_made_it(store: Store) -> None:
    labels = '{"dialect": "d", "file_name": "2026-01-01/cat"}'
    await accept(store, 1, labels=labels)
    newest = await accept(store, 2, "somebody else", labels=labels)
    found = await store.job_with_file_name("d", "2026-01-01/cat")
    assert found is not None
    assert found.id == newest.id
    assert await store.job_with_file_name("other", "2026-01-01/cat") is None
    assert await store.job_with_file_name("d", "2026-01-01/dog") is None


async def test_facts_come_back_as_they_were_told(store: Store) -> None:
    job = await accept(store, 1)
    output = OutputReady(index=0, url="u", media_type="image/png", size_bytes=1, sha256="0", data={"a": [1]})
    started = JobStarted(worker="w", device="d", attempt=1)
    batch = Batch(
        facts=[fact(job, 2, 2, started), fact(job, 3, 3, output)],
        outputs=[{"job_id": job.id, "number": 0, "data": '{"index":0,"url":"u","media_type":"image/png",'
                  '"size_bytes":1,"sha256":"0"}'}],
    )  # fmt: skip
    await store.commit(batch)
    assert [event.body for event in await store.facts(job.id, 0)] == [QUEUED, started, output]
    assert [event.cursor for event in await store.facts(job.id, 1)] == [store.cursor(2), store.cursor(3)]
    read = await store.job(job.id, None)
    assert read is not None
    assert [ready.index for ready in read.outputs] == [0]
    assert await store.last_cursor() == 3


async def test_a_batch_is_stored_whole_or_not_at_all(store: Store) -> None:
    job = await accept(store, 1)
    other = record()
    batch = Batch(facts=[fact(other, 2, 1), fact(job, 3, 1)], new_jobs=[job_row(other)])  # the second exists already
    with pytest.raises(StoreUnavailable):
        await store.commit(batch)
    assert await store.job(other.id, None) is None
    assert await store.last_cursor() == 1
    await accept(store, 2)


async def test_writers_at_once_do_not_mix_their_transactions(store: Store) -> None:
    job = await accept(store, 1)
    bad = [Batch(facts=[fact(record(), 1000 + number, 1), fact(job, 2000 + number, 1)]) for number in range(20)]
    good = [accept(store, 10 + number) for number in range(20)]
    uploads = [store.add_upload(upload(number)) for number in range(20)]
    mixed = [each for group in zip(map(store.commit, bad), good, uploads, strict=True) for each in group]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    refused = [result for result in results if isinstance(result, StoreUnavailable)]
    assert len(refused) == 20
    assert [result for result in results if isinstance(result, BaseException)] == refused
    assert await store.last_cursor() == 29
    assert len(await store.active_jobs()) == 21
    assert all([await store.knows_upload(f"upload-{number}") for number in range(20)])


async def test_a_write_that_is_given_up_leaves_nothing_to_the_next_one(store: Store) -> None:
    giving_up = asyncio.create_task(store.commit(Batch(facts=[fact(record(), 50 + n, 1) for n in range(500)])))
    await asyncio.sleep(0)
    giving_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    await accept(store, 1)
    assert await store.last_cursor() in {1, 549}  # not at all, or whole: never a part of it
    count = len(await store.facts_of_key("k", store.cursor(0), LAST, LAST))
    assert count in {1, 501}


async def test_reading_goes_on_while_a_write_is_under_way(store: Store) -> None:
    job = await accept(store, 1)
    writer = sqlite3.connect(store._path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM jobs")
    assert await store.job(job.id, None) is not None
    writer.execute("ROLLBACK")
    writer.close()


async def test_a_closed_store_says_that_it_is_not_available(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreUnavailable):
        await store.commit(Batch(cancels=["x"]))
    with pytest.raises(StoreUnavailable):
        await store.job("x", None)


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(NewerDatabase):
        await Store(tmp_path).open()


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"something else entirely " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        await Store(tmp_path).open()


async def test_a_page_holds_the_newest_jobs_of_a_key_and_the_next_goes_on(store: Store) -> None:
    jobs = [await accept(store, cursor) for cursor in range(1, 6)]
    await accept(store, 9, "other")
    ids = [job.id for job in reversed(jobs)]
    first = await store.jobs("k", limit=3)
    assert [job.id for job in first] == ids[:3]
    rest = await store.jobs("k", before=first[-1].id, limit=3)
    assert [job.id for job in rest] == ids[3:]


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(),
        JobFilter(statuses=[JobStatus.CANCELLED]),
        JobFilter(statuses=[JobStatus.CANCELLED, JobStatus.QUEUED]),
        JobFilter(tasks=[TaskName.UPSCALE]),
        JobFilter(tasks=[TaskName.UPSCALE, TaskName.INPAINT], statuses=[JobStatus.QUEUED]),
        JobFilter(tasks=[TaskName.ERASE]),
        JobFilter(words=("apple",)),
        JobFilter(words=("APP", "red")),
        JobFilter(words=("苹果",)),
        JobFilter(words=("100%",)),
        JobFilter(words=("a_b",)),
        JobFilter(words=("\\",)),
        JobFilter(words=("apple",), statuses=[JobStatus.QUEUED], tasks=[TaskName.INPAINT]),
        JobFilter(label=("colour", "red")),
        JobFilter(label=("colour", QUOTED)),
        JobFilter(label=("red", "colour")),
        JobFilter(label=("colour", "re")),
        JobFilter(label=("colour", "red"), tasks=[TaskName.UPSCALE], words=("red",)),
    ],
    ids=str,
)
async def test_a_listing_has_what_is_asked_for_page_by_page_and_nothing_else(store: Store, wanted: JobFilter) -> None:
    prompts = (
        None,
        "a red apple",
        "Red pineapples",
        "一个红苹果",
        "100% wool",
        "100 percent",
        "a_b",
        "aXb",
        "c:\\d",
        "",
    )
    tasks, colours = (TaskName.UPSCALE, TaskName.INPAINT, TaskName.TEST_PATTERN), ("red", QUOTED, "reddish")
    expected = []
    for number, (prompt, task, colour) in enumerate(itertools.product(prompts, tasks, colours), 1):
        params = {} if prompt is None else {"prompt": prompt}
        labels = orjson.dumps({"of": "x", "colour": colour}).decode()
        job = await accept(store, number, task=task.value, params=orjson.dumps(params).decode(), labels=labels)
        if number % 2:
            job.status = JobStatus.CANCELLED
            await store.commit(Batch(changed={job.id: job}))
        if (
            (not wanted.statuses or job.status in wanted.statuses)
            and (not wanted.tasks or task in wanted.tasks)
            and all(prompt and word.lower() in prompt.lower() for word in wanted.words)
            and wanted.label in {None, ("colour", colour)}
        ):
            expected.append(job.id)
    await accept(store, 999, "other")
    pages = [await store.jobs("k", wanted=wanted, limit=7)]
    while pages[-1]:
        pages.append(await store.jobs("k", before=pages[-1][-1].id, wanted=wanted, limit=7))
    assert [job.id for page in pages for job in page] == expected[::-1]
    assert all(len(page) == 7 for page in pages[:-2])


async def test_facts_of_a_key_come_in_pages_up_to_a_cursor(store: Store) -> None:
    for cursor in range(1, 8):
        await accept(store, cursor, "k" if cursor % 2 else "other")
    page = await store.facts_of_key("k", store.cursor(1), 5, 10)
    assert [event.cursor for event in page] == [store.cursor(3), store.cursor(5)]
    assert len(await store.facts_of_key("k", store.cursor(0), LAST, 2)) == 2


async def test_cursors_are_of_one_database_and_too_old_once_facts_are_removed(store: Store, tmp_path: Path) -> None:
    first = await accept(store, 1)
    await accept(store, 2)
    begin = store.cursor(0)
    assert len(await store.facts_of_key("k", begin, LAST, 9)) == 2
    for wrong in ("", "x-1", store.cursor(1) + "x", f"{store.database_id}-", f"{store.database_id}--1", "1" * 200):
        with pytest.raises(UnknownCursor):
            store.cursor_number(wrong)
    await store.delete_jobs([first.id])
    with pytest.raises(UnknownCursor, match="too old"):
        await store.facts_of_key("k", begin, LAST, 9)
    assert len(await store.facts_of_key("k", store.cursor(1), LAST, 9)) == 1


async def test_what_one_key_removes_costs_no_other_its_place(store: Store) -> None:
    first = await accept(store, 1, "k")
    await accept(store, 2, "other")
    await accept(store, 3, "k")
    await store.delete_jobs([first.id])
    assert len(await store.facts_of_key("other", store.cursor(0), LAST, 9)) == 1
    with pytest.raises(UnknownCursor, match="too old"):
        await store.facts_of_key("k", store.cursor(0), LAST, 9)


async def test_removing_an_older_job_takes_no_cursor_back(store: Store) -> None:
    older, newer = await accept(store, 1), await accept(store, 2)
    await store.delete_jobs([newer.id])
    await store.delete_jobs([older.id])
    with pytest.raises(UnknownCursor, match="too old"):
        await store.facts_of_key("k", store.cursor(1), LAST, 9)
    assert await store.facts_of_key("k", store.cursor(2), LAST, 9) == []


async def test_numbering_goes_on_after_the_newest_facts_were_removed(store: Store) -> None:
    job = await accept(store, 7)
    await store.delete_jobs([job.id])
    assert await store.last_cursor() == 7


async def test_an_expired_job_leaves_no_row_behind(store: Store) -> None:
    job, other = await accept(store, 1), await accept(store, 2)
    row = {"id": "m", "job_id": job.id, "url": "u", "event": "{}", "next_at": 0.0}
    output = {"job_id": job.id, "number": 0, "data": "{}"}
    job.status, job.expires_at = JobStatus.CANCELLED, AT
    asked = {"job_id": job.id, "request": '{"prompt": "a cat"}'}
    removed = Batch(cancels=[job.id], outputs=[output], webhooks=[row], foreign_requests=[asked], changed={job.id: job})
    await store.commit(removed)
    assert await store.expired_jobs("2027", 9) == [EndedJob(job.id, "k", 1, 1)]
    assert await store.ended_job(job.id) == EndedJob(job.id, "k", 1, 1)
    assert await store.ended_job(other.id) is None
    assert await store.expired_jobs(AT, 9) == []
    await store.delete_jobs([job.id])
    assert await store.job(job.id, None) is None
    assert await store.facts(job.id, 0) == []
    assert await store.due_webhooks(1.0, 9) == []
    assert await store.asked(job.id) == {}
    assert await store.job(other.id, None) is not None


async def test_a_due_webhook_says_which_dialect_its_job_came_by(store: Store) -> None:
    plain, foreign = await accept(store, 1), await accept(store, 2, labels='{"dialect": "d"}')
    row = {"url": "u", "event": "{}", "next_at": 0.0}
    await store.commit(
        Batch(cancels=[plain.id], webhooks=[{**row, "id": job.id, "job_id": job.id} for job in (plain, foreign)])
    )
    due = {row["job_id"]: row["dialect"] for row in await store.due_webhooks(1.0, 9)}
    assert due == {plain.id: None, foreign.id: "d"}


async def test_an_idempotency_key_is_remembered_for_its_time(store: Store) -> None:
    job = record()
    key = {"key_id": "k", "idempotency_key": "i", "body_sha256": "d", "job_id": job.id, "created_at": AT}
    await store.commit(Batch(facts=[fact(job, 1, 1)], new_jobs=[job_row(job)], idempotency=[key]))
    assert await store.idempotent_job("k", "i", "2025") == {"job_id": job.id, "body_sha256": "d"}
    assert await store.idempotent_job("other", "i", "2025") is None
    assert await store.idempotent_job("k", "i", "2027") is None
    await store.delete_old_idempotency("2027")
    assert await store.idempotent_job("k", "i", "2025") is None


async def test_active_jobs_are_those_that_have_not_ended_oldest_first(store: Store) -> None:
    jobs = [await accept(store, cursor) for cursor in (1, 2, 3)]
    jobs[1].status = JobStatus.CANCELLED
    jobs[2].status = JobStatus.RUNNING
    outputs = [{"job_id": job.id, "number": number, "data": "{}"} for job in jobs[1:] for number in (0, 1)]
    await store.commit(Batch(cancels=[jobs[2].id], outputs=outputs, changed={job.id: job for job in jobs[1:]}))
    active = await store.active_jobs()
    assert [(row["id"], row["status"], row["cancel_requested"]) for row in active] == [
        (jobs[0].id, "queued", 0),
        (jobs[2].id, "running", 1),
    ]
    assert await store.outputs_of_active_jobs() == {jobs[2].id: 2}


async def test_uploads_are_found_by_their_key_until_they_expire(store: Store) -> None:
    await store.add_upload(upload(1))
    assert await store.upload("upload-1", "k", "2025") is not None
    assert await store.upload("upload-1", "other", "2025") is None
    assert await store.upload("upload-1", "k", "2027") is None
    assert await store.expired_uploads("2027", 9) == ["upload-1"]
    await store.delete_uploads(["upload-1"])
    assert not await store.knows_upload("upload-1")


async def test_a_probe_changes_nothing_and_fails_when_nothing_can_be_written(store: Store) -> None:
    await store.probe()
    blocker = sqlite3.connect(store._path, isolation_level=None)
    assert store._writer is not None
    await store._writer.execute("PRAGMA busy_timeout = 1")
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.probe()
    blocker.execute("ROLLBACK")
    blocker.close()
    await store.probe()


def upload(number: int) -> dict[str, object]:
    return {
        "id": f"upload-{number}",
        "key_id": "k",
        "name": None,
        "media_type": "image/png",
        "width": 1,
        "height": 1,
        "size_bytes": 1,
        "expires_at": AT,
    }
