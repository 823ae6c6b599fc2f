"""`/v1/presets`: which presets there are."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.presets import PresetList
from service.api.openapi import JSON, Answer, Content, Operation, ref
from service.api.requests import caller, services_of
from service.auth import Scope


async def list_presets(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    presets = PresetList(presets=tuple(await services_of(request).presets.infos()))
    return Response(presets.model_dump_json(exclude_none=True), media_type="application/json")


ROUTES: Final = (Route("/v1/presets", list_presets, methods=["GET"]),)

PRESET_OPERATIONS: Final = (
    Operation(
        id="listPresets",
        method="GET",
        path="/v1/presets",
        tag="models",
        summary="Which presets there are",
        description="What `preset` of a generating task may name, and what each gives. New files are seen at once.",
        scope=Scope.JOBS_READ,
        answers=(Answer(status=200, content=Content(description="All of them.", media={JSON: ref("PresetList")})),),
    ),
)
