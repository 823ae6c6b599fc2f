"""The endpoints of the text-removal service: each reads a foreign request, has `erase` do it, and answers as there."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from protocol.jobs import JobStatus
from protocol.requests import TaskName
from service.auth import Key, Scope
from service.dialects.base import Desk
from service.dialects.base64_picture import decode_picture
from service.dialects.picture_size import Size, size_of
from service.dialects.reading import read_json
from service.dialects.refusal import Refused
from service.dialects.stored_file import StoredFile
from service.dialects.text_removal import messages
from service.dialects.text_removal.callbacks import callback_body
from service.dialects.text_removal.environment import read_environment
from service.dialects.text_removal.errors import EXCEPTION_HANDLERS
from service.dialects.text_removal.information import health, info, local_time, max_file_bytes, model, root
from service.dialects.text_removal.requests import (
    AsyncRequest,
    MaskRequest,
    RegionsRequest,
    check_regions,
    check_task_id,
    decode_plain,
    erase_params,
    placed,
)
from service.dialects.text_removal.sockets import progress_socket
from service.dialects.text_removal.states import DIALECT_LABEL, TaskState, TaskStatus
from service.dialects.text_removal.tasks import LABELS, Tasks
from service.dialects.webhook_form import webhook_form
from service.profiles import Cors, Dialect, part_of
from service.settings import Settings

_EXPOSED: Final = ("Content-Disposition", "X-Processing-Time", "X-Timestamp", "X-Regions-Count", "X-Total-Area")


async def inpaint(request: Request) -> Response:
    started_at = time.perf_counter()
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, MaskRequest)
    settings = desk.services.settings
    most = max_file_bytes(settings)
    image = await anyio.to_thread.run_sync(decode_picture, asked.image, "image", most)
    mask = await anyio.to_thread.run_sync(decode_picture, asked.mask, "mask", most)
    await anyio.to_thread.run_sync(_measure, image, settings)
    eraser = await part_of(request, Tasks).erasers.current()
    output = await _erased(desk, request, key, erase_params(asked, eraser, image=image, mask=mask))
    return _picture(output, "inpainted.png", time.perf_counter() - started_at)


async def inpaint_regions(request: Request) -> Response:
    started_at = time.perf_counter()
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, RegionsRequest)
    order = await _order(request, asked)
    output = await _erased(desk, request, key, order.params)
    told = {"X-Regions-Count": str(len(asked.regions)), "X-Total-Area": str(asked.total_area)}
    return _picture(output, "inpainted_regions.png", time.perf_counter() - started_at, told)


async def inpaint_regions_json(request: Request) -> Response:
    """What the other says in its headers, without the picture."""
    started_at = time.perf_counter()
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, RegionsRequest)
    order = await _order(request, asked)
    await _erased(desk, request, key, order.params)
    count = len(asked.regions)
    return JSONResponse(
        {
            "success": True,
            "message": f"{count} regions processed",
            "processing_stats": {
                "regions_processed": count,
                "total_area": asked.total_area,
                "processing_time": round(time.perf_counter() - started_at, 3),
                "image_dimensions": {"width": order.size.width, "height": order.size.height},
            },
            "timestamp": local_time(),
        }
    )


async def inpaint_regions_async(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    asked = await read_json(request, AsyncRequest)
    task_id = check_task_id(asked.task_id) if asked.task_id else str(uuid.uuid4())
    order = await _order(request, asked)
    job = await part_of(request, Tasks).start(task_id, order.params, key, asked.callback_url or None)
    return JSONResponse(
        {
            "task_id": task_id,
            "status": TaskState.of(job).status.value,
            "message": f"Started processing {len(asked.regions)} regions",
            "estimated_time": None,
            "websocket_url": _socket_url(request, task_id) if asked.enable_progress else None,
        }
    )


async def task_status(request: Request) -> Response:
    key = await Desk.of(request).key_of(request, Scope.JOBS_READ)
    job = await part_of(request, Tasks).find(request.path_params["task_id"], key)
    return JSONResponse(messages.task_status(TaskState.of(job)))


async def task_result(request: Request) -> Response:
    """The finished picture; the original has no such thing."""
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    job = await part_of(request, Tasks).find(request.path_params["task_id"], key)
    state = TaskState.of(job)
    if state.status is TaskStatus.COMPLETED:
        told = {"X-Regions-Count": str(state.regions)}
        return _picture(await desk.file(job), "inpainted_regions.png", state.elapsed_s, told)
    if state.status.is_final:
        raise Refused(410, f"Task {state.task_id} has no result: {state.message}")
    raise Refused(409, f"Task {state.task_id} has no result yet: it is {state.status}")


async def cancel_task(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    state = await part_of(request, Tasks).cancel(request.path_params["task_id"], key)
    is_over = state.status is TaskStatus.CANCELLED
    message = "Task cancelled successfully" if is_over else "Task will be cancelled when its present step is over"
    body = {"task_id": state.task_id, "status": state.status.value, "message": message}
    return JSONResponse(body, 200 if is_over else 202)


async def tasks(request: Request) -> Response:
    key = await Desk.of(request).key_of(request, Scope.JOBS_READ)
    counts = await part_of(request, Tasks).counts(key)

    def count(*statuses: JobStatus) -> int:
        return sum(counts[status].count for status in statuses if status in counts)

    return JSONResponse(
        {
            "total_tasks": count(*JobStatus),
            "active_tasks": count(JobStatus.QUEUED, JobStatus.RUNNING),
            "completed_tasks": count(JobStatus.SUCCEEDED),
            "error_tasks": count(JobStatus.FAILED),
            "active_task_ids": [task_id for found in counts.values() for task_id in found.ids],
        }
    )


class _Order(NamedTuple):
    """A request with regions: parameters of `erase`, and the size of its picture."""

    params: dict[str, Any]
    size: Size


async def _order(request: Request, asked: RegionsRequest) -> _Order:
    """
    Raises:
        ProtocolError: the picture is none, or too large; there are no regions.
    """
    check_regions(asked)
    settings = Desk.of(request).services.settings
    image = await anyio.to_thread.run_sync(decode_plain, asked.image, max_file_bytes(settings))
    size = await anyio.to_thread.run_sync(_measure, image, settings)
    eraser = await part_of(request, Tasks).erasers.current()
    return _Order(erase_params(asked, eraser, image=image, regions=placed(asked.regions, size)), size)


def _measure(content: bytes, settings: Settings) -> Size:
    """The size of a picture. Blocks.

    Raises:
        ProtocolError: `bad_image`: it is none.
        Refused: 413: it is larger than the operator allows.
    """
    size = size_of(content, "image")
    most = settings.text_removal_max_side_px
    if most is not None and max(size) > most:
        raise Refused(413, f"image: expected sides of at most {most} pixels, got {size.width} x {size.height}")
    return size


async def _erased(desk: Desk, request: Request, key: Key, params: Mapping[str, Any]) -> StoredFile:
    """Have a picture made while its client waits; the job ends if the client goes, or after the time there is."""
    timeout_s = desk.services.settings.text_removal_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            job = await desk.run(TaskName.ERASE, params, key=key, request=request, labels=LABELS)
    except TimeoutError:
        raise Refused(504, f"not done within {timeout_s:g} s; the work was stopped") from None
    return await desk.file(job)


def _picture(
    output: StoredFile, name: str, processing_s: float, told: Mapping[str, str] = MappingProxyType({})
) -> Response:
    headers = {
        "Content-Disposition": f"inline; filename={name}",
        "X-Processing-Time": f"{processing_s:.3f}",
        "X-Timestamp": local_time(),
        **told,
    }
    return FileResponse(output.path, media_type=output.media_type, headers=headers)


def _socket_url(request: Request, task_id: str) -> str:
    """Where the client can watch a task: the host it called, not the one this server believes it has."""
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return f"{scheme}://{request.url.netloc}/api/v1/ws/progress/{task_id}"


ROUTES: Final[Sequence[BaseRoute]] = (
    Route("/", root, methods=["GET"]),
    Route("/api/v1/health", health, methods=["GET"]),
    Route("/api/v1/model", model, methods=["GET"]),
    Route("/api/v1/info", info, methods=["GET"]),
    Route("/api/v1/inpaint", inpaint, methods=["POST"]),
    Route("/api/v1/inpaint-regions", inpaint_regions, methods=["POST"]),
    Route("/api/v1/inpaint-regions-json", inpaint_regions_json, methods=["POST"]),
    Route("/api/v1/inpaint-regions-async", inpaint_regions_async, methods=["POST"]),
    Route("/api/v1/task-status/{task_id}", task_status, methods=["GET"]),
    Route("/api/v1/task-result/{task_id}", task_result, methods=["GET"]),
    Route("/api/v1/cancel-task/{task_id}", cancel_task, methods=["POST"]),
    Route("/api/v1/tasks", tasks, methods=["GET"]),
    WebSocketRoute("/api/v1/ws/progress", progress_socket),
    WebSocketRoute("/api/v1/ws/progress/{task_id}", progress_socket),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=EXCEPTION_HANDLERS,
    cors=Cors(exposed_headers=_EXPOSED),
    parts=(Tasks, webhook_form(DIALECT_LABEL, callback_body)),
    environment=read_environment,
)
