"""`/tasks`: what the caller has asked for, and what came of it."""

from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocol.jobs import Job, JobStatus
from service.auth import Key, Scope
from service.clock import now, timestamp
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.pages import Page
from service.dialects.fooocus_engine.names import job_id_of
from service.dialects.fooocus_engine.records import DIALECT_LABEL, current, row
from service.dialects.fooocus_engine.requests import Query, QueryTasks
from service.dialects.own_jobs import own_job
from service.dialects.reading import read_query
from service.job_views import ForeignJob

_MOST: Final = 10_000
"""Tasks of a stretch of time, where there are no pages; and tasks that have not ended."""
_DELETE: Final = "delete"
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def get_task(request: Request) -> Response:
    """One task; an empty list where there is none."""
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    job = await find(desk, request.path_params["task_id"], key)
    if job is None:
        return JSONResponse([])
    kept = await desk.services.store.asked(job.id)
    return await json_answer(request, await _shown(desk, ForeignJob(job, kept), key, str(request.base_url)))


async def get_tasks(request: Request) -> Response:
    """The groups that are asked for; or with `action=delete` fewer tasks, and nothing told, as in the original."""
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    query = read_query(request, QueryTasks)
    if query.action == _DELETE:
        key.require(Scope.JOBS_WRITE)
        await _delete(desk, key, query)
        return JSONResponse(None)
    base_url = str(request.base_url)
    told: dict[str, list[dict[str, Any]]] = {"history": [], "current": [], "pending": []}
    if query.query in {Query.ALL, Query.HISTORY}:
        told["history"] = [row(desk, each.job, each.asked, base_url) for each in await _history(desk, key, query)]
    active = await desk.services.store.jobs_of_dialect(key.id, DIALECT_LABEL, has_ended=False, limit=_MOST)
    active.reverse()
    if query.query in {Query.ALL, Query.CURRENT}:
        running = [each for each in active if each.job.status is JobStatus.RUNNING]
        told["current"] = [await current(desk, each.job, key, each.asked, base_url) for each in running]
    if query.query in {Query.ALL, Query.PENDING}:
        waiting = [each for each in active if each.job.status is JobStatus.QUEUED]
        told["pending"] = [row(desk, each.job, each.asked, base_url) for each in _page(waiting, query)]
    return await json_answer(request, told)


async def find(desk: Desk, task_id: str, key: Key) -> Job | None:
    """The job of that task, if it came by this dialect and is the caller's."""
    job_id = job_id_of(task_id)
    return None if job_id is None else await own_job(desk, job_id, key, DIALECT_LABEL)


async def _shown(desk: Desk, found: ForeignJob, key: Key, base_url: str) -> dict[str, Any]:
    if found.job.status is JobStatus.RUNNING:
        return await current(desk, found.job, key, found.asked, base_url)
    return row(desk, found.job, found.asked, base_url)


async def _history(desk: Desk, key: Key, query: QueryTasks) -> list[ForeignJob]:
    """A page of the tasks that have begun, newest first; of a stretch of time all of them, oldest first."""
    store = desk.services.store
    if query.start_at is None and query.end_at is None:
        page = Page.of(query.page, query.page_size)
        return await store.begun_jobs_of_dialect(key.id, DIALECT_LABEL, limit=page.size, offset=page.offset)
    since, until = _stretch(query)
    return await store.begun_jobs_of_dialect_between(key.id, DIALECT_LABEL, since, until, limit=_MOST)


async def _delete(desk: Desk, key: Key, query: QueryTasks) -> None:
    """The tasks of a stretch of time that have ended, with their pictures; without one, none."""
    if query.start_at is None and query.end_at is None:
        return
    since, until = _stretch(query)
    found = await desk.services.store.begun_jobs_of_dialect_between(key.id, DIALECT_LABEL, since, until, limit=_MOST)
    for each in found:
        await desk.forget(each.job.id, key)


def _page(found: list[ForeignJob], query: QueryTasks) -> list[ForeignJob]:
    page = Page.of(query.page, query.page_size)
    return found[page.offset : page.offset + page.size]


def _stretch(query: QueryTasks) -> tuple[str, str]:
    """When the tasks came that are asked for: from the beginning, until now."""
    since, until = query.start_at or _FIRST, query.end_at or now()
    return timestamp(since.astimezone(UTC)), timestamp(until.astimezone(UTC))
