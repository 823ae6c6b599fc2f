"""What a worker answers over HTTP: whether it lives, whether it takes work, and its metrics. Nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from protocol.version import PROTOCOL_VERSION, SOFTWARE_VERSION
from service.cluster.worker import Worker
from service.metrics import Metrics


def make_health_app(worker: Worker, metrics: Metrics) -> Starlette:
    """An application with `/v1/health/live`, `/v1/health/ready` and `/metrics`."""

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": SOFTWARE_VERSION, "protocol": PROTOCOL_VERSION})

    async def ready(_request: Request) -> Response:
        problems = worker.problems
        body = {"ready": not problems, "problems": problems, "worker": worker.id, "jobs": len(worker.jobs)}
        return JSONResponse(body, status_code=503 if problems else 200)

    async def render(_request: Request) -> Response:
        content, media_type = metrics.render()
        return Response(content, headers={"Content-Type": media_type})

    return Starlette(
        routes=[
            Route("/v1/health/live", live, methods=["GET"]),
            Route("/v1/health/ready", ready, methods=["GET"]),
            Route("/metrics", render, methods=["GET"]),
        ]
    )
