"""`/v1/engine/generate/`: one route for all that is made, and the four ways to answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from protocol.events import JobWarning
from protocol.jobs import Job
from protocol.requests import Previews
from service.auth import Key
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.file_names import chosen_stem, today
from service.dialects.fooocus.shelf import Known, Shelf
from service.dialects.fooocus.translation import translate
from service.dialects.fooocus_engine.modes import Mode, wanted
from service.dialects.fooocus_engine.presets import under_preset
from service.dialects.fooocus_engine.records import DIALECT_LABEL, asked, pending, row
from service.dialects.fooocus_engine.requests import EngineRequest
from service.dialects.fooocus_engine.stream import TaskStream
from service.dialects.fooocus_engine.wish import meaning, pictures_of
from service.dialects.job_ends import JobNotDone
from service.dialects.reading import read_json
from service.profiles import part_of

JOB_HEADER: Final = "X-Job-Id"
"""Names the job of our own API behind an answer."""


async def generate(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, EngineRequest)
    how = wanted(request.headers.get("accept"), fields)
    known = await part_of(request, Shelf).known()
    fields, notes = await under_preset(fields, desk.services.presets, known)
    if how.mode is Mode.PICTURE:
        fields = fields.model_copy(update={"image_number": 1, "output_format": how.extension})
    job = await _submitted(_Asked(desk, key, fields, known, notes, str(request.base_url)))
    headers = {JOB_HEADER: job.id}
    if how.mode is Mode.STREAM:
        return TaskStream(desk, job, key, goes_on=fields.async_process, headers=headers)
    if how.mode is Mode.LATER:
        return await json_answer(request, pending(job), headers=headers)
    try:
        ended = await desk.finish(job, key, request=request)
    except JobNotDone as error:
        ended = error.job
    if how.mode is Mode.PICTURE:
        return await _picture(desk, ended, headers)
    kept = await desk.services.store.asked(job.id)
    return await json_answer(request, row(desk, ended, kept, str(request.base_url)), headers=headers)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, its preset under it; `notes` are of that."""

    desk: Desk
    key: Key
    fields: EngineRequest
    known: Known
    notes: Sequence[JobWarning]
    base_url: str


async def _submitted(made: _Asked) -> Job:
    desk, fields = made.desk, made.fields
    pictures = await pictures_of(desk, fields)
    meant = await meaning(fields, pictures)
    order = translate(meant.wish, made.known)
    webhook_url = fields.webhook_url or desk.services.settings.fooocus_webhook_url or ""
    labels = {
        "dialect": DIALECT_LABEL,
        "extension": fields.output_format.value,
        "base_url": made.base_url[:256],
    }
    stem = chosen_stem(fields.save_name)
    if stem is not None:
        labels["file_name"] = f"{today()}/{stem}"
    return await desk.submit(
        order.task,
        order.params,
        key=made.key,
        labels=labels,
        previews=Previews.NONE if fields.disable_preview else Previews.LATEST,
        webhook={"url": webhook_url} if webhook_url else None,
        asked={**asked(fields, pictures, meant.tab), "webhook_url": webhook_url},
        notes=(*made.notes, *meant.notes, *order.notes),
    )


async def _picture(desk: Desk, job: Job, headers: dict[str, str]) -> Response:
    """The picture alone; without one there is nothing to say, and the job says why."""
    if not job.outputs:
        return Response(status_code=204, headers=headers)
    # Those before it are its earlier stages.
    stored = await desk.file(job, job.outputs[-1].index)
    content = await anyio.to_thread.run_sync(stored.path.read_bytes)
    return Response(content, headers=headers, media_type=stored.media_type)
