"""`/v1/models`: which models there are; load, unload and download them."""

from typing import Final
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.errors import ErrorCode
from protocol.models import Arrived, ModelDownload, ModelKind
from protocol.requests import TaskName
from protocol.validation import parse
from service.api.jobs import submit_for
from service.api.requests import caller, choice, json_body, services_of
from service.auth import Scope
from service.errors import ServiceError

_RETRY_AFTER_S: Final = 5.0


async def list_models(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    kind, task = choice(request, "kind", ModelKind), choice(request, "task", TaskName)
    return _answer(await services_of(request).models.list(kind=kind, task=task))


async def get(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    return _answer(await services_of(request).models.find(request.path_params["name"]))


async def load(request: Request) -> Response:
    key = await caller(request, Scope.MODELS_WRITE)

    async def body() -> object:
        model = await services_of(request).models.loadable(request.path_params["name"])
        return {"task": TaskName.LOAD_MODEL.value, "params": {"model": model.name}}

    return await submit_for(request, key, body)


async def unload(request: Request) -> Response:
    await caller(request, Scope.MODELS_WRITE)
    return _answer(await services_of(request).models.unload(request.path_params["name"]), 202)


async def compute_hash(request: Request) -> Response:
    await caller(request, Scope.MODELS_WRITE)
    return _answer(await services_of(request).models.hashed(request.path_params["name"]))


async def download(request: Request) -> Response:
    services = services_of(request)
    await caller(request, Scope.MODELS_WRITE)
    wanted = parse(ModelDownload, await json_body(request))
    if services.submissions.is_draining:
        raise ServiceError(ErrorCode.DRAINING, "the server is stopping; try again soon", retry_after_s=_RETRY_AFTER_S)
    model = await services.models.download(wanted)
    return _answer(model, 202, {"Location": f"/v1/models/{quote(str(model.id))}"})


async def cancel_download(request: Request) -> Response:
    await caller(request, Scope.MODELS_WRITE)
    arrived = choice(request, "arrived", Arrived)
    models = services_of(request).models
    return _answer(await models.cancel_download(request.path_params["name"], discards=arrived is Arrived.DISCARD))


def _answer(content: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = content.model_dump_json(exclude_none=True)
    return Response(text, status_code=status, media_type="application/json", headers=headers)


ROUTES: Final = (
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models", download, methods=["POST"]),
    Route("/v1/models/{name:path}/load", load, methods=["POST"]),
    Route("/v1/models/{name:path}/unload", unload, methods=["POST"]),
    Route("/v1/models/{name:path}/hash", compute_hash, methods=["POST"]),
    Route("/v1/models/{name:path}/download", cancel_download, methods=["DELETE"]),
    Route("/v1/models/{name:path}", get, methods=["GET"]),
)
