"""`/v1/uploads` and the outputs of jobs."""

import re
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import OutputReady
from protocol.ids import new_id
from service.api.accept import acceptable
from service.api.requests import body_chunks, caller, services_of, whole_number
from service.auth import Scope
from service.clock import timestamp
from service.conversion import PICTURES, converted
from service.files import SUFFIXES
from service.probe import probe
from service.thumbnails import Wanted

_UNSAFE: Final = re.compile(r"[^\w .()+-]")
_MOST_DIGITS: Final = 6
_LEAST_SIDE_PX: Final = 16
_MOST_SIDE_PX: Final = 2048
_SMALL_PICTURES: Final = ("image/webp", "image/jpeg", "image/png")
_IMMUTABLE: Final = "private, max-age=31536000, immutable"


async def upload(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_WRITE)
    limit = services.settings.max_upload_bytes
    upload_id = new_id()
    part, size_bytes = await services.files.receive(upload_id, body_chunks(request, limit), limit)
    try:
        found = await anyio.to_thread.run_sync(lambda: probe(part, services.settings.max_pixels, at="$.body"))
        await anyio.to_thread.run_sync(services.files.keep, part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    row = {
        "id": upload_id,
        "key_id": key.id,
        "name": _UNSAFE.sub("_", request.query_params["name"])[:200] if "name" in request.query_params else None,
        "media_type": found.media_type,
        "width": found.width,
        "height": found.height,
        "size_bytes": size_bytes,
        "expires_at": timestamp(plus_s=services.settings.upload_ttl_s),
    }
    await services.uploads.add(row)
    shown = {name: value for name, value in row.items() if name != "key_id" and value is not None}
    return JSONResponse({**shown, "ref": f"upload:{upload_id}"}, status_code=201)


async def output(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_READ)
    job = await services.jobs.get(request.path_params["job_id"], key)
    number = _number(request)
    ready = next((ready for ready in job.outputs if ready.index == number), None)
    if ready is None:
        message = f"job {job.id}: has {len(job.outputs)} outputs so far, and none numbered {number}"
        raise ProtocolError(ErrorCode.NOT_FOUND, message)
    if "max_side_px" in request.query_params:
        return await _thumbnail(request, job.id, ready)
    is_picture = ready.media_type.startswith("image/")
    offered = (ready.media_type, *(kind for kind in PICTURES if is_picture and kind != ready.media_type))
    chosen = _acceptable(request, offered)
    path = services.files.output(job.id, number, ready.media_type, ready.sha256)
    headers = _headers(job.id, ready, chosen)
    if _etags(request) & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    await services.files.bring(path)
    try:
        if (await anyio.to_thread.run_sync(path.stat)).st_size != ready.size_bytes:
            # A power loss can do this, unless `synchronous` is full.
            raise ProtocolError(ErrorCode.NOT_FOUND, "the file of this output is damaged")
        if chosen == ready.media_type:
            return FileResponse(path, media_type=chosen, headers=headers)
        content = await anyio.to_thread.run_sync(converted, path, chosen)
    except FileNotFoundError:
        raise _gone() from None
    return Response(content, media_type=chosen, headers=headers)


async def _thumbnail(request: Request, job_id: str, ready: OutputReady) -> Response:
    side_px = whole_number(request, "max_side_px", _MOST_SIDE_PX, least=_LEAST_SIDE_PX, most=_MOST_SIDE_PX)
    if not ready.media_type.startswith("image/"):
        message = f"max_side_px: output {ready.index} is no picture, but {ready.media_type}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.max_side_px")
    chosen = _acceptable(request, _SMALL_PICTURES)
    headers = _headers(job_id, ready, chosen, variant=f"-{side_px}")
    if _etags(request) & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    services = services_of(request)
    wanted = Wanted(job_id, ready.index, chosen, side_px)
    if (made := services.thumbnails.found(wanted)) is not None:
        return Response(made, media_type=chosen, headers=headers)
    path = services.files.output(job_id, ready.index, ready.media_type, ready.sha256)
    await services.files.bring(path)
    try:
        content = await services.thumbnails.get(wanted, path)
    except FileNotFoundError:
        raise _gone() from None
    except OSError as error:
        raise ProtocolError(ErrorCode.NOT_FOUND, "the file of this output is damaged") from error
    return Response(content, media_type=chosen, headers=headers)


def _acceptable(request: Request, offered: tuple[str, ...]) -> str:
    chosen = acceptable(request.headers.get("accept"), offered)
    if chosen is None:
        raise ProtocolError(ErrorCode.NOT_ACCEPTABLE, f"accept: this output can be had as {', '.join(offered)}")
    return chosen


def _gone() -> ProtocolError:
    return ProtocolError(ErrorCode.NOT_FOUND, "the file of this output is gone")


def _number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ProtocolError(ErrorCode.NOT_FOUND, f"outputs are numbered 0, 1, 2, ...; there is no {text!r:.60}")
    return int(text)


def _headers(job_id: str, ready: OutputReady, media_type: str, *, variant: str = "") -> dict[str, str]:
    """
    Args:
        variant: tells this form of the output from the file as it is, beside the media type.
    """
    suffix = SUFFIXES[media_type].removeprefix(".")
    if variant or media_type != ready.media_type:
        variant += f"-{suffix}"
    return {
        "ETag": f'"{ready.sha256}{variant}"',
        "Vary": "Accept",
        "Cache-Control": _IMMUTABLE,
        "Content-Disposition": f'inline; filename="{job_id[-12:]}-{ready.index}.{suffix}"',
        "X-Content-Type-Options": "nosniff",
    }


def _etags(request: Request) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}


ROUTES: Final = (
    Route("/v1/uploads", upload, methods=["POST"]),
    Route("/v1/jobs/{job_id}/outputs/{number}", output, methods=["GET"]),
)
