"""IOPaint's published front end, served from the folder the operator names. It is not part of this program."""

import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from service.api import page
from service.api.requests import services_of

_INDEX: Final = "index.html"
_SCRIPTS: Final = (".js", ".mjs")


async def index(request: Request) -> Response:
    """The front end's page; ours where no folder is named."""
    folder = services_of(request).settings.iopaint_web_dir
    return await page.index(request) if folder is None else await _file(folder, _INDEX, request)


async def asset(request: Request) -> Response:
    """Any other file of the front end."""
    folder = services_of(request).settings.iopaint_web_dir
    if folder is None:
        raise HTTPException(404)
    return await _file(folder, request.url.path.lstrip("/"), request)


async def _file(folder: Path, name: str, request: Request) -> Response:
    response = await _files(folder).get_response(name, request.scope)
    # Some systems have scripts down as plain text, which browsers then refuse to run.
    if name.endswith(_SCRIPTS):
        response.headers["content-type"] = "text/javascript; charset=utf-8"
    elif response.headers.get("content-type") is None:
        response.headers["content-type"] = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return response


@lru_cache(4)
def _files(folder: Path) -> StaticFiles:
    return StaticFiles(directory=folder, check_dir=False)
