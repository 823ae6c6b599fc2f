"""What the text-removal service says of itself: `/`, `/health`, `/model`, `/info`."""

from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.interface.engine import EngineStatus
from protocol.params import MAX_SIDE_PX
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.text_removal.tasks import Tasks
from service.profiles import part_of
from service.settings import Settings

NAME: Final = "IOPaint Text Removal Service"
VERSION: Final = "1.0.0"
"""Of the service whose API this is."""
_CAPABILITIES: Final = (
    "Text removal by regions",
    "Inpainting with a mask",
    "Asynchronous tasks with real progress and cancelling",
    "Progress over WebSocket",
    "Callbacks when a task is done",
)


async def root(request: Request) -> Response:
    tasks = part_of(request, Tasks)
    return JSONResponse(
        {
            "name": NAME,
            "version": VERSION,
            "status": "running",
            "docs": "/docs",
            "health": "/api/v1/health",
            "model": (await tasks.erasers.current()).value,
            "device": Desk.of(request).services.engine.state().device,
        }
    )


async def health(request: Request) -> Response:
    """Also for callers without a key: whoever watches over a container has none."""
    services = Desk.of(request).services
    engine = services.engine.state()
    problems = [] if engine.status is EngineStatus.READY else [f"the engine is {engine.status}"]
    if not services.log.is_healthy:
        problems.append("the store cannot be written")
    return JSONResponse(
        {
            "status": "unhealthy" if problems else "healthy",
            "message": "; ".join(problems) or "IOPaint service is running",
            "timestamp": local_time(),
            "version": VERSION,
        }
    )


async def model(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    return JSONResponse(await part_of(request, Tasks).erasers.shown())


async def info(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    settings = desk.services.settings
    return JSONResponse(
        {
            "name": NAME,
            "version": VERSION,
            "model": await part_of(request, Tasks).erasers.shown(),
            "capabilities": list(_CAPABILITIES),
            "limits": {
                "max_image_size": settings.text_removal_max_side_px or MAX_SIDE_PX,
                "max_file_size": max_file_bytes(settings),
                "request_timeout": settings.text_removal_timeout_s,
                "supported_formats": ["JPEG", "PNG", "WebP"],
            },
        }
    )


def max_file_bytes(settings: Settings) -> int:
    """The largest picture file that can be sent: it comes as base64, in one body."""
    return min(settings.max_upload_bytes, settings.max_body_bytes * 3 // 4)


def local_time() -> str:
    """Now, by the clock on the wall; ISO 8601."""
    # Without an offset, as the original: its clients compare with their own clock.
    return datetime.now().isoformat()
