"""What clients ask of their jobs and of the server: `query-job`, `job-queue`, `job-history`, `stop`, `/ping`, `/`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from protocol.errors import ErrorCode, ProtocolError
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus_api.history import NOTHING, history
from service.dialects.fooocus_api.requests import QueryHistory, QueryJob
from service.dialects.fooocus_api.states import DIALECT_LABEL, NOT_FOUND, job_object
from service.dialects.own_jobs import own_job, running_longest
from service.dialects.reading import read_query

_PAGE: Final = '<p>This server is documented at <a href="/docs">/docs</a>.</p>'
_STOPPED: Final = {"msg": "success"}


async def root(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    return HTMLResponse(_PAGE)


async def ping(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    return JSONResponse("pong")


async def query_job(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    asked = read_query(request, QueryJob)
    step = desk.step(asked.job_id, key)
    job = await own_job(desk, asked.job_id, key, DIALECT_LABEL)
    if job is None:
        return JSONResponse(NOT_FOUND, 404)
    shown = await job_object(desk, job, key, str(request.base_url), step=step, wants_preview=asked.wants_preview)
    return await json_answer(request, shown)


async def job_queue(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    counts = await desk.services.store.counts_of_dialect(key.id, DIALECT_LABEL)
    ended = sum(each.count for status, each in counts.items() if status.is_terminal)
    return JSONResponse(
        {
            "running_size": sum(each.count for each in counts.values()) - ended,
            "finished_size": ended,
            "last_job_id": max((each.newest for each in counts.values()), default=None),
        }
    )


async def job_history(request: Request) -> Response:
    """The history; or, with `delete`, one job less of it, as the original: the answer is empty then."""
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    asked = read_query(request, QueryHistory)
    if not asked.delete:
        return await json_answer(request, await history(desk, key, asked, str(request.base_url)))
    key.require(Scope.JOBS_WRITE)
    if asked.job_id is not None and await own_job(desk, asked.job_id, key, DIALECT_LABEL) is not None:
        await desk.forget(asked.job_id, key)
    return JSONResponse(NOTHING)


async def stop(request: Request) -> Response:
    """End the caller's job that has been running longest; or the one that `?job_id=` names, running or waiting.

    Nothing that is not there can be harmed by it.
    """
    desk = Desk.of(request)
    key = await desk.key_of(request)
    job_id = request.query_params.get("job_id")
    if job_id is None:
        job = await running_longest(desk, key, DIALECT_LABEL)
    else:
        job = await own_job(desk, job_id, key, DIALECT_LABEL)
        if job is None:
            return JSONResponse(NOT_FOUND, 404)
    if job is not None:
        try:
            await desk.cancel(job.id, key)
        except ProtocolError as error:
            if error.code is not ErrorCode.ALREADY_ENDED:
                raise
    return JSONResponse(_STOPPED)
