"""`/v1/server`: what this server is, has in memory, and takes."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.requests import TaskName
from protocol.server import (
    EngineInfo,
    JobCounts,
    KeyInfo,
    Limits,
    LoadedModel,
    LoadingModel,
    MemoryInfo,
    ServerInfo,
)
from protocol.version import PROTOCOL_VERSION, SOFTWARE_VERSION
from service.api.openapi import JSON, Answer, Content, Operation, ref
from service.api.requests import caller, services_of
from service.auth import Key, Scope
from service.wiring import Services


async def show(request: Request) -> Response:
    key = await caller(request, Scope.JOBS_READ)
    services = services_of(request)
    return Response(_info(services, key).model_dump_json(exclude_none=True), media_type="application/json")


def _info(services: Services, key: Key) -> ServerInfo:
    settings, engine, memory = services.settings, services.engine.state(), services.engine.memory()
    return ServerInfo(
        version=SOFTWARE_VERSION,
        protocol=PROTOCOL_VERSION,
        started_at=services.started_at,
        key=KeyInfo(is_needed=services.keys.has_keys, scopes=tuple(sorted(key.scopes))),
        engine=EngineInfo(status=engine.status, device=engine.device, detail=engine.detail or None),
        memory=MemoryInfo(
            models_bytes=sum(model.size_bytes for model in memory.models),
            models_budget_bytes=memory.budget_bytes,
            home_bytes=sum(model.home_bytes for model in memory.models),
            jobs_bytes=engine.live_bytes,
            jobs_budget_bytes=engine.budget_bytes,
        ),
        loaded=tuple(
            LoadedModel(id=model.name, size_bytes=model.size_bytes, home_bytes=model.home_bytes)
            for model in memory.models
        ),
        loading=tuple(
            LoadingModel(id=body.model, phase=body.phase, done=body.done, total=body.total)
            for body in services.model_loads.loading
        ),
        jobs=JobCounts(running=engine.live_jobs, waiting=services.admission.counts()),
        tasks=tuple(TaskName),
        limits=Limits(**{name: getattr(settings, name) for name in Limits.model_fields}),
        allows_downloads=settings.allow_model_downloads,
    )


ROUTES: Final = (Route("/v1/server", show, methods=["GET"]),)

SERVER_OPERATIONS: Final = (
    Operation(
        id="getServer",
        method="GET",
        path="/v1/server",
        tag="server",
        summary="What the server is, has in memory, and takes",
        description="Its version, its device, the models in memory with their sizes and those on their way, how many "
        "jobs run and wait, its limits, and what the key of the caller may do. Events of `server` tell of changes.",
        scope=Scope.JOBS_READ,
        answers=(Answer(status=200, content=Content(description="At this moment.", media={JSON: ref("ServerInfo")})),),
    ),
)
