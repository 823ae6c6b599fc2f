"""`/v1/styles`: which styles there are."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.openapi import JSON, Answer, Content, Operation, ref
from service.api.requests import caller, services_of
from service.auth import Scope


async def list_styles(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    styles = await services_of(request).styles.list()
    return Response(styles.model_dump_json(exclude_none=True), media_type="application/json")


ROUTES: Final = (Route("/v1/styles", list_styles, methods=["GET"]),)

STYLE_OPERATIONS: Final = (
    Operation(
        id="listStyles",
        method="GET",
        path="/v1/styles",
        tag="models",
        summary="Which styles there are",
        description="What `styles` of a generating task may name, with its templates. New files are seen at once.",
        scope=Scope.JOBS_READ,
        answers=(Answer(status=200, content=Content(description="All of them.", media={JSON: ref("StyleList")})),),
    ),
)
