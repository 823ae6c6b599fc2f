"""Health, readiness and metrics."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.interface.engine import EngineStatus
from protocol.version import PROTOCOL_VERSION, SOFTWARE_VERSION
from service.api.requests import services_of


async def live(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": SOFTWARE_VERSION, "protocol": PROTOCOL_VERSION})


async def ready(request: Request) -> Response:
    services = services_of(request)
    engine = services.engine.state()
    problems = []
    if engine.status is not EngineStatus.READY:
        problems.append(f"engine {engine.status}" + (f": {engine.detail}" if engine.detail else ""))
    if not services.log.is_healthy:
        problems.append("the store cannot be written")
    if services.submissions.is_draining:
        problems.append("draining")
    body = {
        "ready": not problems,
        "problems": problems,
        "engine": {
            "status": engine.status,
            "device": engine.device,
            "live_jobs": engine.live_jobs,
            "live_bytes": engine.live_bytes,
            "budget_bytes": engine.budget_bytes,
        },
        "queued": services.admission.counts(),
    }
    return JSONResponse(body, status_code=503 if problems else 200)


async def metrics(request: Request) -> Response:
    content, media_type = services_of(request).metrics.render()
    return Response(content, headers={"Content-Type": media_type})


ROUTES: Final = (
    Route("/v1/health/live", live, methods=["GET"]),
    Route("/v1/health/ready", ready, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
)
