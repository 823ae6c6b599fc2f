"""`/v1/recipes`: what a picture was made with, read from its file."""

from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocol.errors import ErrorCode
from service.api.openapi import JSON, Answer, Content, Operation, ref
from service.api.requests import body_chunks, caller, services_of
from service.auth import Scope
from service.recipes import read_recipe


async def read(request: Request) -> Response:
    await caller(request, Scope.JOBS_READ)
    content = bytearray()
    async for chunk in body_chunks(request, services_of(request).settings.max_upload_bytes):
        content += chunk
    found = await anyio.to_thread.run_sync(read_recipe, bytes(content))
    return Response(found.model_dump_json(exclude_none=True), media_type="application/json")


ROUTES: Final = (Route("/v1/recipes", read, methods=["POST"]),)

RECIPE_OPERATIONS: Final = (
    Operation(
        id="readRecipe",
        method="POST",
        path="/v1/recipes",
        tag="pictures",
        summary="Read from a picture's file what it was made with",
        description="The body is the file. Read are the text that A1111's web interface writes and the document that "
        "Fooocus writes, from PNG, JPEG and WebP. Nothing is kept.",
        scope=Scope.JOBS_READ,
        body=Content(description="The picture's file.", media={"application/octet-stream": {}}),
        answers=(
            Answer(
                status=200,
                content=Content(
                    description="What it says; nothing if it says nothing.", media={JSON: ref("PictureRecipe")}
                ),
            ),
        ),
        errors=(ErrorCode.BAD_IMAGE, ErrorCode.TOO_LARGE, ErrorCode.MALFORMED),
    ),
)
