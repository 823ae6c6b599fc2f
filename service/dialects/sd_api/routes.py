"""The endpoints of the Stable Diffusion API: each reads a foreign request, and has a job of ours made or looked up."""

from collections.abc import Sequence
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.interface.engine import EngineStatus
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.own_jobs import own_job
from service.dialects.reading import read_json
from service.dialects.sd_api import tasks
from service.dialects.sd_api.callbacks import callback_body
from service.dialects.sd_api.errors import EXCEPTION_HANDLERS, NOT_FOUND
from service.dialects.sd_api.requests import GenerateRequest, order_of
from service.dialects.webhook_form import webhook_form
from service.profiles import Dialect

CREATED: Final = "任务已创建，正在处理中"
_UNFIT: Final = {EngineStatus.FAILED, EngineStatus.STUCK, EngineStatus.STOPPED}
_LONGEST_LABEL: Final = 256


async def health(request: Request) -> Response:
    """Also for callers without a key. Models are read when a job first wants them: told is whether jobs can be done."""
    services = Desk.of(request).services
    engine = services.engine.state()
    is_well = engine.status not in _UNFIT and services.log.is_healthy
    body = {"status": "ok" if is_well else "error", "model_loaded": engine.status is EngineStatus.READY}
    return JSONResponse(body, 200 if is_well else 503)


async def generate(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, GenerateRequest)
    order = order_of(asked)
    job = await desk.submit(
        order.task,
        order.params,
        key=key,
        labels={"dialect": tasks.DIALECT_LABEL, "base_url": str(request.base_url)[:_LONGEST_LABEL]},
        webhook={"url": asked.callback_url} if asked.callback_url else None,
        notes=order.notes,
    )
    return JSONResponse({"task_id": job.id, "status": tasks.TaskStatus.PENDING.value, "message": CREATED})


async def task(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request, Scope.JOBS_READ)
    job = await own_job(desk, request.path_params["task_id"], key, tasks.DIALECT_LABEL)
    if job is None:
        return JSONResponse({"detail": NOT_FOUND}, 404)
    return JSONResponse(tasks.shown(desk, job, str(request.base_url)))


async def picture(request: Request) -> Response:
    """A result, without a key, as the original's storage gives it: its name is known to its owner alone."""
    stored = await tasks.picture(Desk.of(request), request.path_params["name"])
    if stored is None or not await anyio.to_thread.run_sync(stored.path.exists):
        return JSONResponse({"detail": "Not Found"}, 404)
    return FileResponse(stored.path, media_type=stored.media_type)


ROUTES: Final[Sequence[BaseRoute]] = (
    Route("/health", health, methods=["GET"]),
    Route("/api/health", health, methods=["GET"]),
    Route("/api/v1/generate", generate, methods=["POST"]),
    Route("/api/v1/tasks/{task_id}", task, methods=["GET"]),
    Route(f"{tasks.PICTURES}/{{name}}", picture, methods=["GET"]),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=EXCEPTION_HANDLERS,
    prefixes=("/api/", "/health", f"{tasks.PICTURES}/"),
    parts=(webhook_form(tasks.DIALECT_LABEL, callback_body),),
)
