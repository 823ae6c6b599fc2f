"""`/v1/uploads/{id}`: a picture that was uploaded, to look at again."""

from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import is_id
from service.api.accept import acceptable
from service.api.openapi import Answer, Content, Operation, Parameter
from service.api.requests import caller, services_of
from service.auth import Scope
from service.clock import timestamp
from service.conversion import PICTURES, converted

_HEADERS: Final = {
    "Vary": "Accept",
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
}


async def show(request: Request) -> Response:
    services = services_of(request)
    key = await caller(request, Scope.JOBS_READ)
    upload_id = request.path_params["upload_id"]
    row = await services.uploads.find(upload_id, key.id, timestamp()) if is_id(upload_id) else None
    if row is None:
        message = f"there is no upload {upload_id!r:.60}, it has expired, or it is not yours"
        raise ProtocolError(ErrorCode.NOT_FOUND, message)
    given = row["media_type"]
    offered = (given, *(kind for kind in PICTURES if kind != given))
    chosen = acceptable(request.headers.get("accept"), offered)
    if chosen is None:
        raise ProtocolError(ErrorCode.NOT_ACCEPTABLE, f"accept: this picture can be had as {', '.join(offered)}")
    headers = {**_HEADERS, "ETag": f'"{upload_id}-{chosen.partition("/")[2]}"'}
    path = await services.files.bring(services.files.upload(upload_id))
    try:
        if chosen == given:
            await anyio.to_thread.run_sync(path.stat)
            return FileResponse(path, media_type=chosen, headers=headers)
        content = await anyio.to_thread.run_sync(converted, path, chosen)
    except FileNotFoundError:
        raise ProtocolError(ErrorCode.NOT_FOUND, "the file of this upload is gone") from None
    return Response(content, media_type=chosen, headers=headers)


ROUTES: Final = (Route("/v1/uploads/{upload_id}", show, methods=["GET"]),)

UPLOAD_OPERATIONS: Final = (
    Operation(
        id="getUpload",
        method="GET",
        path="/v1/uploads/{upload_id}",
        tag="pictures",
        summary="A picture that was uploaded",
        description="As it was sent, or upright in another format if `Accept` does not name its own.",
        scope=Scope.JOBS_READ,
        parameters=(
            Parameter(
                name="upload_id",
                where="path",
                description="The upload's id, without `upload:`.",
                schema={"type": "string", "format": "uuid"},
            ),
        ),
        answers=(
            Answer(
                status=200,
                content=Content(description="The file.", media={name: {} for name in (*PICTURES, "image/*")}),
                headers={"ETag": "Of this upload in this format; it never changes."},
            ),
            Answer(status=206, content=Content(description="The range asked for.", media={})),
        ),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.NOT_ACCEPTABLE),
    ),
)
