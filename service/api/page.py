"""`/`: the page for people, and `/web`: what it is made of, from the `web` folder."""

from pathlib import Path
from typing import Final

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.accept import accepts_encoding
from service.web_files import WebFiles

_FILES: Final = WebFiles(Path(__file__).parents[2] / "web")
_INDEX: Final = "index.html"
_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        # Some browsers do not count the WebSocket of an origin as the origin itself.
        "connect-src 'self' ws: wss:",
        "style-src 'self'",
        "script-src 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
_HEADERS: Final = {
    # Asked for again each time, and sent only if it has changed: the page and its scripts always fit together.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}


async def index(request: Request) -> Response:
    return await _file(request, _INDEX)


async def asset(request: Request) -> Response:
    return await _file(request, request.path_params["path"])


async def _file(request: Request, name: str) -> Response:
    file = await anyio.to_thread.run_sync(_FILES.find, name)
    if file is None:
        raise HTTPException(404)
    content, headers = file.content, {**_HEADERS, "ETag": file.etag}
    if file.packed is not None and accepts_encoding(request.headers.get("accept-encoding"), "gzip"):
        content = file.packed
        headers |= {"ETag": file.packed_etag, "Content-Encoding": "gzip"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {headers["ETag"], "*"}:
        headers.pop("Content-Encoding", None)
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=file.media_type, headers=headers)


ROUTES: Final = (
    Route("/", index, methods=["GET"]),
    Route("/web/{path:path}", asset, methods=["GET"]),
)
