"""`/v1/models`: which models there are."""

from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.requests import caller, services_of
from service.auth import Scope


async def list_models(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    models = await anyio.to_thread.run_sync(services_of(request).models)
    return Response(models.model_dump_json(), media_type="application/json")


ROUTES: Final = (Route("/v1/models", list_models, methods=["GET"]),)
