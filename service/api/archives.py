"""`/v1/archives`: several outputs as one ZIP."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from protocol.archives import MAX_ARCHIVED, ArchiveRequest
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import OutputReady
from protocol.jobs import Job
from protocol.validation import parse
from service.api.openapi import JSON, Answer, Content, Operation, ref
from service.api.requests import caller, json_body, services_of
from service.archive import Entry, packed
from service.auth import Scope
from service.errors import AnswerCutOff
from service.files import SUFFIXES, Files

_MEDIA_TYPE: Final = "application/zip"
_HEADERS: Final = {
    "Content-Disposition": 'attachment; filename="safelight.zip"',
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_CHUNK_BYTES: Final = 256 << 10
"""Sent at once: the reader takes it before the next is given to the network."""


async def pack(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_READ)
    asked = parse(ArchiveRequest, await json_body(request)).outputs
    ids = dict.fromkeys(output.job_id for output in asked)
    jobs = {job_id: await services.jobs.get(job_id, key) for job_id in ids}
    found: dict[tuple[str, int], OutputReady] = {}
    for at, output in enumerate(asked):
        for ready in _meant(jobs[output.job_id], output.index, f"$.outputs[{at}]"):
            found[output.job_id, ready.index] = ready
    if not found:
        raise ProtocolError(ErrorCode.NOT_FOUND, "outputs: none of these jobs has one", "$.outputs")
    if len(found) > MAX_ARCHIVED:
        message = f"outputs: expected at most {MAX_ARCHIVED}, got {len(found)} at $.outputs"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.outputs")
    entries = [_entry(jobs[job_id], ready, services.files) for (job_id, _), ready in found.items()]
    sizes = [ready.size_bytes for ready in found.values()]
    for entry in entries:
        await services.files.bring(entry.path)
    await anyio.to_thread.run_sync(_check, entries, sizes)
    return StreamingResponse(_sent(entries), media_type=_MEDIA_TYPE, headers=_HEADERS)


def _meant(job: Job, index: int | None, at: str) -> Sequence[OutputReady]:
    meant = [ready for ready in job.outputs if index in {None, ready.index}]
    if not meant and index is not None:
        message = f"job {job.id}: has {len(job.outputs)} outputs, and none numbered {index}"
        raise ProtocolError(ErrorCode.NOT_FOUND, message, f"{at}.index")
    return meant


def _entry(job: Job, ready: OutputReady, files: Files) -> Entry:
    name = f"{job.id[-12:]}-{ready.index}{SUFFIXES[ready.media_type]}"
    path = files.output(job.id, ready.index, ready.media_type, ready.sha256)
    return Entry(name, path, datetime.fromisoformat(job.finished_at or job.created_at))


def _check(entries: Sequence[Entry], sizes: Sequence[int]) -> None:
    """Raises ProtocolError `not_found` unless every file is there, whole. Blocks."""
    for entry, size_bytes in zip(entries, sizes, strict=True):
        try:
            is_whole = entry.path.stat().st_size == size_bytes
        except FileNotFoundError:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"{entry.name}: the file of this output is gone") from None
        if not is_whole:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"{entry.name}: the file of this output is damaged")


async def _sent(entries: Sequence[Entry]) -> AsyncIterator[bytes]:
    """
    Raises:
        AnswerCutOff: a file has gone since it was looked for.
    """
    archive = packed(entries)
    while True:
        try:
            pieces = await anyio.to_thread.run_sync(next, archive, None)
        except OSError as error:
            raise AnswerCutOff(f"an output could not be read: {error.strerror or type(error).__name__}") from None
        if pieces is None:
            return
        for piece in pieces:
            for begin in range(0, len(piece), _CHUNK_BYTES):
                yield piece[begin : begin + _CHUNK_BYTES]


ROUTES: Final = (Route("/v1/archives", pack, methods=["POST"]),)

ARCHIVE_OPERATIONS: Final = (
    Operation(
        id="packOutputs",
        method="POST",
        path="/v1/archives",
        tag="pictures",
        summary="Several outputs as one ZIP",
        description=f"At most {MAX_ARCHIVED} outputs, of any of one's own jobs, stored as they are and named "
        "`JOB-INDEX.png`, with the last twelve digits of the job's id. Whether all are there is looked at before "
        "anything is sent.",
        scope=Scope.JOBS_READ,
        body=Content(description="Which outputs.", media={JSON: ref("ArchiveRequest")}),
        answers=(Answer(status=200, content=Content(description="The archive.", media={_MEDIA_TYPE: {}})),),
        errors=(
            ErrorCode.NOT_FOUND,
            ErrorCode.INVALID_PARAMS,
            ErrorCode.MALFORMED,
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            ErrorCode.TOO_LARGE,
        ),
    ),
)
