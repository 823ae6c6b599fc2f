"""The generating routes: each reads its request, has one job of ours made of it, and answers as its client wants.

Wanted is a picture (`Accept` or `?accept=` exactly `image/png`), a job to ask for later (`async_process`), or a list of
results, for which the client waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from protocol.errors import ErrorCode
from protocol.events import JobWarning
from protocol.jobs import Job, JobStatus
from protocol.requests import Previews
from service.auth import Key
from service.conversion import converted
from service.dialect_settings import FooocusApiVersion
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.choices import Extension
from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus.file_names import chosen_stem, today
from service.dialects.fooocus.shelf import Shelf
from service.dialects.fooocus.translation import translate
from service.dialects.fooocus.wishes import Wish
from service.dialects.fooocus_api.history import columns
from service.dialects.fooocus_api.requests import ApiFields
from service.dialects.fooocus_api.states import (
    DIALECT_LABEL,
    FINISH_REASONS,
    FinishReason,
    JobType,
    job_object,
    no_job,
    result,
    results,
)
from service.dialects.job_ends import JobNotDone
from service.errors import ServiceError
from service.profiles import part_of

_PNG: Final = "image/png"
_QUEUE_FULL: Final = (result(FinishReason.QUEUE_IS_FULL),)
JOB_HEADER: Final = "X-Job-Id"
"""Names the job of an answer that says nothing of it."""


class Asked(NamedTuple):
    """A request that was read.

    Attributes:
        fields: as they were sent.
        wish: what they mean.
        notes: what of them does not count, beside what the translation finds.
    """

    kind: JobType
    fields: ApiFields
    wish: Wish
    notes: Sequence[JobWarning] = ()


def wish_of(fields: ApiFields, **rest: Any) -> Wish:
    """What a request's common fields mean.

    Args:
        rest: what its route adds.
    """
    return Wish(
        common=fields,
        advanced=fields.advanced_params or AdvancedFields(),
        extension=fields.save_extension,
        saves_metadata=fields.save_meta,
        metadata_scheme=fields.meta_scheme,
        **rest,
    )


async def answer(request: Request, key: Key, asked: Asked) -> Response:
    """Have a request done, and answer it as it wants."""
    desk = Desk.of(request)
    wants_picture = (request.query_params.get("accept") or request.headers.get("accept")) == _PNG
    if wants_picture:
        fields = asked.fields.model_copy(update={"image_number": 1, "async_process": False})
        wish = replace(asked.wish, common=fields, extension=Extension.PNG)
        asked = asked._replace(fields=fields, wish=wish)
    base_url = str(request.base_url)
    try:
        job = await _submitted(request, desk, key, asked)
    except ServiceError as error:
        if error.code is not ErrorCode.QUEUE_FULL:
            raise
        return await _queue_is_full(request, asked, wants_picture=wants_picture)
    named = {JOB_HEADER: job.id}
    if asked.fields.async_process:
        return await json_answer(request, await job_object(desk, job, key, base_url), headers=named)
    try:
        ended = await desk.finish(job, key, request=request)
    except JobNotDone as error:
        ended = error.job
    if wants_picture:
        return await _picture(desk, ended, named)
    return await json_answer(request, await _list(desk, ended, base_url), headers=named)


async def _submitted(request: Request, desk: Desk, key: Key, asked: Asked) -> Job:
    order = translate(asked.wish, await part_of(request, Shelf).known())
    fields, settings = asked.fields, desk.services.settings
    labels = {
        "dialect": DIALECT_LABEL,
        "job_type": asked.kind.value,
        "extension": asked.wish.extension.value,
        "base_url": str(request.base_url)[:256],
    }
    stem = chosen_stem(fields.save_name)
    if stem is not None:
        labels["file_name"] = f"{today()}/{stem}"
    if fields.require_base64:
        labels["base64"] = "yes"
    webhook_url = fields.webhook_url or settings.fooocus_webhook_url
    return await desk.submit(
        order.task,
        order.params,
        key=key,
        labels=labels,
        previews=Previews.NONE if asked.wish.advanced.disable_preview else Previews.LATEST,
        webhook={"url": webhook_url} if webhook_url else None,
        asked=columns(asked.wish),
        notes=(*asked.notes, *order.notes),
    )


async def _queue_is_full(request: Request, asked: Asked, *, wants_picture: bool) -> Response:
    if wants_picture:
        return Response(FinishReason.QUEUE_IS_FULL.value, 409)
    if asked.fields.async_process:
        return await json_answer(request, no_job(asked.kind, status=None, made=_QUEUE_FULL))
    return await json_answer(request, list(_QUEUE_FULL))


async def _picture(desk: Desk, job: Job, headers: Mapping[str, str]) -> Response:
    """The picture alone. Without one there is no saying why but the status, and in version 0.4 one word."""
    if job.outputs:
        # Those before it are its earlier stages.
        stored = await desk.file(job, job.outputs[-1].index)
        if stored.media_type == _PNG:
            content = await anyio.to_thread.run_sync(stored.path.read_bytes)
        else:
            content = await anyio.to_thread.run_sync(converted, stored.path, _PNG)
        return Response(content, headers=headers, media_type=_PNG)
    if desk.services.settings.fooocus_api_version is FooocusApiVersion.V0_5:
        return Response(status_code=500, headers=headers)
    status = 400 if job.status is JobStatus.CANCELLED else 500
    return Response(FINISH_REASONS[job.status].value, status, headers)


async def _list(desk: Desk, job: Job, base_url: str) -> list[dict[str, Any]]:
    """The pictures there are, also of a job that was stopped or has failed; version 0.4 says so with one more item."""
    made = await results(desk, job, base_url)
    is_older = desk.services.settings.fooocus_api_version is FooocusApiVersion.V0_4
    if is_older and job.status is not JobStatus.SUCCEEDED:
        made.append(result(FINISH_REASONS[job.status]))
    return made
