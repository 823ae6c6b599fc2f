"""`/openapi.json`, `/asyncapi.json` and pages to read them with. All offline: nothing comes from another server."""

import functools
import html
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.api.requests import services_of

MEANINGS: Final = {
    ErrorCode.MALFORMED: "What was sent cannot be read: it is not JSON or msgpack, or no message at all.",
    ErrorCode.INVALID_PARAMS: "A field is missing, unknown, of the wrong type or out of range; the message names it.",
    ErrorCode.UNKNOWN_TASK: "There is no such task; the message lists those there are.",
    ErrorCode.BAD_IMAGE: "A picture is none, is of a format that is not accepted, or is truncated or damaged.",
    ErrorCode.IMAGE_TOO_LARGE: "A picture has more pixels than this server takes; it was not decoded.",
    ErrorCode.TOO_LARGE: "A body, an upload or a fetched file has more bytes than this server takes.",
    ErrorCode.FETCH_FAILED: "A picture or model could not be fetched, or its URL is not one this server fetches from.",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "The body is not of a media type this route reads.",
    ErrorCode.NOT_ACCEPTABLE: "What was asked for cannot be had in any of the formats accepted.",
    ErrorCode.METHOD_NOT_ALLOWED: "This route knows other methods; `Allow` lists them.",
    ErrorCode.IDEMPOTENCY_MISMATCH: "The idempotency key was used before, with another request.",
    ErrorCode.UNAUTHORIZED: "No API key was shown, or one this server does not know.",
    ErrorCode.FORBIDDEN: "The key lacks the scope, the settings forbid it, or a keyless server was called from afar.",
    ErrorCode.FOREIGN_ORIGIN: "A web page of an origin that is not allowed tried to call this server.",
    ErrorCode.UNKNOWN_HOST: "The request was meant for a host name this server does not answer to.",
    ErrorCode.NOT_FOUND: "There is no such thing, or it belongs to another API key.",
    ErrorCode.ALREADY_ENDED: "The job or download has ended; there is nothing left to cancel.",
    ErrorCode.NOT_ENDED: "The job waits or runs; only one that has ended can be removed.",
    ErrorCode.CURSOR_EXPIRED: "Facts after this cursor have been removed; begin with a listing.",
    ErrorCode.MODEL_EXISTS: "A model of that kind and name is there, or on its way from another address.",
    ErrorCode.QUEUE_FULL: "Too many jobs wait; try again after `Retry-After`.",
    ErrorCode.DRAINING: "The server is stopping and takes no new jobs; try again after `Retry-After`.",
    ErrorCode.NOT_READY: "The server cannot do this now; try again after `Retry-After`.",
    ErrorCode.INTERNAL: "The server made a mistake; its log has more under the id in the message.",
    ErrorCode.STEP_FAILED: "A step of the job raised an error; the job ended there.",
    ErrorCode.STEP_TIMEOUT: "A step of the job took longer than the server allows.",
    ErrorCode.OUT_OF_MEMORY: "The job does not fit into the device's memory, even in a smaller configuration.",
    ErrorCode.MODEL_MISSING: "There is no such model; `/v1/models` lists those there are.",
    ErrorCode.BAD_MODEL: "The model is damaged, or of a kind that cannot be loaded; the message says what is wrong.",
    ErrorCode.ATTEMPTS_EXHAUSTED: "The server ended during every attempt at this job.",
}
"""One sentence on every code. A test holds it total."""

_COMMON: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": _COMMON,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# ReDoc searches in a worker that it makes from its own text.
_REDOC_HEADERS: Final = {**_PAGE_HEADERS, "Content-Security-Policy": f"{_COMMON}; worker-src blob:"}
_ASSET_HEADERS: Final = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}
</head>
<body>
{body}
</body>
</html>
"""
_SWAGGER: Final = _PAGE.format(
    title="Safelight API",
    head='<link rel="stylesheet" href="/docs/assets/swagger-ui.css">\n<link rel="icon" href="data:,">',
    body='<div id="swagger-ui"></div>\n<script src="/docs/assets/swagger-ui-bundle.js"></script>\n'
    '<script src="/docs/assets/start-swagger.js"></script>',
)
_REDOC: Final = _PAGE.format(
    title="Safelight API",
    head='<link rel="stylesheet" href="/docs/assets/pages.css">\n<link rel="icon" href="data:,">',
    body='<div id="redoc"></div>\n<script src="/docs/assets/redoc.standalone.js"></script>\n'
    '<script src="/docs/assets/start-redoc.js"></script>',
)
_OWN_ASSETS: Final = {
    "start-swagger.js": (
        "text/javascript",
        'SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});\n',
    ),
    "start-redoc.js": (
        "text/javascript",
        'Redoc.init("/openapi.json", {hideDownloadButton: false, nativeScrollbars: true}, '
        'document.getElementById("redoc"));\n',
    ),
    "pages.css": (
        "text/css",
        "body { margin: 0; font-family: system-ui, sans-serif; line-height: 1.5; }\n"
        "main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }\n"
        "h2 { margin: 2rem 0 0; font-family: ui-monospace, monospace; font-size: 1.1rem; }\n"
        "h2:target { outline: 2px solid; outline-offset: 4px; }\n"
        "p { margin: 0.25rem 0 0; }\n"
        "@media (prefers-color-scheme: dark) { main { color: #eee; } body:has(main) { background: #1a1a1a; } }\n",
    ),
}


async def openapi_document(request: Request) -> Response:
    return await _document(request, _openapi_json)


async def asyncapi_document(request: Request) -> Response:
    return await _document(request, _asyncapi_json)


async def docs(_request: Request) -> Response:
    return Response(_SWAGGER, media_type="text/html", headers=_PAGE_HEADERS)


async def redoc(_request: Request) -> Response:
    return Response(_REDOC, media_type="text/html", headers=_REDOC_HEADERS)


async def errors(_request: Request) -> Response:
    return Response(_errors_page(), media_type="text/html", headers=_PAGE_HEADERS)


async def asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name in _OWN_ASSETS:
        media_type, text = _OWN_ASSETS[name]
        return Response(text, media_type=media_type, headers=_ASSET_HEADERS)
    path = _bundled().get(name)
    if path is None:
        raise ProtocolError(ErrorCode.NOT_FOUND, f"there is nothing at {request.url.path}")
    return FileResponse(path, headers=_ASSET_HEADERS)


async def _document(request: Request, build: Callable[[str], bytes]) -> Response:
    key_header = services_of(request).settings.api.key_header
    # The first time takes tens of milliseconds.
    content = await anyio.to_thread.run_sync(build, key_header)
    return Response(content, media_type="application/json", headers={"X-Content-Type-Options": "nosniff"})


@functools.lru_cache(2)
def _openapi_json(key_header: str) -> bytes:
    # Imported here, as below: few servers are ever asked, and every one has to start.
    from service.api import openapi
    from service.api.operations import OPERATIONS, SCHEMAS, TAGS

    return orjson.dumps(openapi.document(OPERATIONS, tags=TAGS, schemas=SCHEMAS, key_header=key_header))


@functools.lru_cache(2)
def _asyncapi_json(key_header: str) -> bytes:
    from service.api import asyncapi

    return orjson.dumps(asyncapi.document(key_header=key_header))


@functools.cache
def _bundled() -> dict[str, Path]:
    """Name -> file of what the package of user interfaces brings; nothing else of it is served."""
    from openapi_ui_bundles import redoc as redoc_bundle
    from openapi_ui_bundles import swagger_ui

    return {
        "swagger-ui-bundle.js": Path(swagger_ui.static_path) / "swagger-ui-bundle.js",
        "swagger-ui.css": Path(swagger_ui.static_path) / "swagger-ui.css",
        "redoc.standalone.js": Path(redoc_bundle.static_path) / "redoc.standalone.js",
    }


@functools.cache
def _errors_page() -> str:
    parts = [
        f'<h2 id="{code}">{code}</h2>\n<p>HTTP {HTTP_STATUS[code].value}. {html.escape(MEANINGS[code])}</p>'
        for code in ErrorCode
    ]
    return _PAGE.format(
        title="Safelight errors",
        head='<link rel="stylesheet" href="/docs/assets/pages.css">\n<link rel="icon" href="data:,">',
        body="<main>\n<h1>Errors</h1>\n<p>Every error has a stable <code>code</code>; messages are for people.</p>\n"
        + "\n".join(parts)
        + "\n</main>",
    )


ROUTES: Final = (
    Route("/openapi.json", openapi_document, methods=["GET"]),
    Route("/asyncapi.json", asyncapi_document, methods=["GET"]),
    Route("/docs", docs, methods=["GET"]),
    Route("/redoc", redoc, methods=["GET"]),
    Route("/docs/errors", errors, methods=["GET"]),
    Route("/docs/assets/{name}", asset, methods=["GET"], name="docs_asset"),
)
