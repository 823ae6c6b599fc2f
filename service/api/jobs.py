"""`/v1/jobs`: submit, list, look at, wait for, watch, cancel, skip an image, and remove what has ended."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import is_id
from protocol.jobs import Job, JobStatus
from protocol.requests import TaskName
from service.api.accept import prefers
from service.api.requests import caller, choices, json_body, number_in, seconds, services_of, whole_number
from service.auth import Key, Scope
from service.job_filter import JobFilter
from service.jobs import MAX_PAGE
from service.submissions import Submission
from service.transports import sse

_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([^\s,;]+)", re.IGNORECASE)
_MOST: Final = 2**53
_DEFAULT_PAGE: Final = 50
_MOST_KEY_CHARACTERS: Final = 255
_MOST_WORDS_CHARACTERS: Final = 200


async def submit(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_WRITE)
    return await submit_for(request, key, partial(json_body, request))


async def submit_for(request: Request, key: Key, body: Callable[[], Awaitable[object]]) -> Response:
    """Submit a job, with what the headers of the request say of it, and answer with it.

    Args:
        body: gives the job request.
    """
    services = services_of(request)
    idempotency_key = request.headers.get("idempotency-key")
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= _MOST_KEY_CHARACTERS:
        message = f"Idempotency-Key: expected 1..{_MOST_KEY_CHARACTERS} characters, got {len(idempotency_key)}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message)
    wait_s = _preferred_wait(request)
    accepted = await services.submissions.submit(Submission(await body(), key, idempotency_key))
    job, headers = accepted.job, {"Location": f"/v1/jobs/{accepted.job.id}"}
    if wait_s > 0:
        job = await services.jobs.wait(job.id, key, wait_s, known=job)
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    return _answer(job, 200 if job.status.is_terminal else 202, headers)


async def list_jobs(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_READ)
    page = await services_of(request).jobs.list(
        key,
        cursor=_cursor(request),
        wanted=JobFilter(
            statuses=choices(request, "status", JobStatus),
            tasks=choices(request, "task", TaskName),
            words=_words(request),
            label=_label(request),
        ),
        limit=whole_number(request, "limit", _DEFAULT_PAGE, least=1, most=MAX_PAGE),
    )
    return Response(page.model_dump_json(exclude_none=True), media_type="application/json")


async def get(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_READ)
    wait_s = seconds(request.query_params.get("wait"), "wait", most=services.settings.max_wait_s)
    return _answer(await services.jobs.wait(request.path_params["job_id"], key, wait_s))


async def cancel(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_WRITE)
    return _answer(await services_of(request).jobs.cancel(request.path_params["job_id"], key), 202)


async def skip(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_WRITE)
    return _answer(await services_of(request).jobs.skip(request.path_params["job_id"], key), 202)


async def forget(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_WRITE)
    await services_of(request).removal.forget(request.path_params["job_id"], key)
    return Response(status_code=204)


async def events(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_READ)
    after = whole_number(request, "after", 0, least=0, most=_MOST)
    is_stream = prefers(request.headers.get("accept"), "text/event-stream")
    last_event_id = request.headers.get("last-event-id")
    if is_stream and last_event_id:
        # An EventSource that comes back repeats its first URL, and knows better by now.
        after = number_in(last_event_id, "Last-Event-ID", least=0, most=_MOST)
    watch = sse.Watch(
        request.path_params["job_id"], key, after, inline_previews=request.query_params.get("previews") == "inline"
    )
    if is_stream:
        return await sse.stream(services, watch)
    after_n = whole_number(request, "n", -1, least=0, most=_MOST)
    return await sse.poll(
        services,
        watch,
        wait_s=seconds(request.query_params.get("wait"), "wait", most=services.settings.max_wait_s),
        after_n=None if after_n < 0 else after_n,
    )


async def preview(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_READ)
    services = services_of(request)
    found = services.jobs.preview(request.path_params["job_id"], key)
    if found is None:
        await services.jobs.get(request.path_params["job_id"], key)
        raise ProtocolError(ErrorCode.NOT_FOUND, "preview: this job has none now")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-store"})


def _answer(job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        job.model_dump_json(exclude_none=True), status_code=status, media_type="application/json", headers=headers
    )


def _preferred_wait(request: Request) -> float:
    """Seconds of `Prefer: wait=S` (RFC 7240)."""
    match = _WAIT.search(request.headers.get("prefer", ""))
    return seconds(match[1] if match else None, "wait", most=services_of(request).settings.max_wait_s)


def _cursor(request: Request) -> str | None:
    cursor = request.query_params.get("cursor")
    if cursor is not None and not is_id(cursor):
        message = f"cursor: expected `next` of the page before, got {cursor!r:.60}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.cursor")
    return cursor


def _words(request: Request) -> tuple[str, ...]:
    text = request.query_params.get("q", "")
    if len(text) > _MOST_WORDS_CHARACTERS:
        message = f"q: expected at most {_MOST_WORDS_CHARACTERS} characters, got {len(text)}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.q")
    return tuple(text.split())


def _label(request: Request) -> tuple[str, str] | None:
    text = request.query_params.get("label")
    if text is None:
        return None
    name, colon, value = text.partition(":")
    if not colon or not name:
        message = f"label: expected NAME:VALUE, got {text!r:.60}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.label")
    return name, value


ROUTES: Final = (
    Route("/v1/jobs", submit, methods=["POST"]),
    Route("/v1/jobs", list_jobs, methods=["GET"]),
    Route("/v1/jobs/{job_id}", get, methods=["GET"]),
    Route("/v1/jobs/{job_id}", cancel, methods=["DELETE"]),
    Route("/v1/jobs/{job_id}/skip", skip, methods=["POST"]),
    Route("/v1/jobs/{job_id}/record", forget, methods=["DELETE"]),
    Route("/v1/jobs/{job_id}/events", events, methods=["GET"]),
    Route("/v1/jobs/{job_id}/preview", preview, methods=["GET"]),
)
