"""The endpoints of files: the picture to begin with, what is saved, what a picture tells, and the file manager."""

import mimetypes
from functools import partial
from typing import Final, NamedTuple

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from service.api.requests import body_chunks
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.iopaint.answers import route
from service.dialects.iopaint.files import MediaFolders, Tab
from service.dialects.iopaint.gen_info import gen_info
from service.dialects.reading import Foreign, missing, read_query
from service.dialects.refusal import Refused


async def save_image(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request)
    file = await _upload(request)
    folders = MediaFolders.of(desk.services.settings)
    await anyio.to_thread.run_sync(folders.save, file.name, file.content)
    return JSONResponse(None)


async def read_gen_info(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    found = await anyio.to_thread.run_sync(gen_info, (await _upload(request)).content)
    return JSONResponse(found._asdict())


async def input_image(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    path = await anyio.to_thread.run_sync(MediaFolders.of(desk.services.settings).first_picture)
    return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream")


class _MediaQuery(Foreign):
    tab: Tab


class _MediaFileQuery(_MediaQuery):
    filename: str


class _ThumbnailQuery(_MediaFileQuery):
    width: int
    height: int


async def medias(request: Request) -> Response:
    folders = await _folders(request)
    asked = read_query(request, _MediaQuery)
    return JSONResponse(await anyio.to_thread.run_sync(folders.listing, asked.tab))


async def media_file(request: Request) -> Response:
    folders = await _folders(request)
    asked = read_query(request, _MediaFileQuery)
    path = await anyio.to_thread.run_sync(folders.picture, asked.tab, asked.filename)
    return FileResponse(path, media_type="image/png")  # whatever it is, as the original


async def media_thumbnail_file(request: Request) -> Response:
    folders = await _folders(request)
    asked = read_query(request, _ThumbnailQuery)
    make = partial(folders.thumbnail, asked.tab, asked.filename, asked.width, asked.height)
    small = await anyio.to_thread.run_sync(make)
    sizes = {"X-Width": str(small.width), "X-Height": str(small.height)}
    return Response(small.content, media_type="image/jpeg", headers=sizes)


async def _folders(request: Request) -> MediaFolders:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    return MediaFolders.of(desk.services.settings)


class _Upload(NamedTuple):
    name: str
    content: bytes


async def _upload(request: Request) -> _Upload:
    """The part `file` of a form.

    Raises:
        InvalidRequest: there is none.
        Refused: 400: the form cannot be read.
        ProtocolError: `too_large`.
    """
    limit = Desk.of(request).services.settings.max_upload_bytes
    chunks = body_chunks(request, limit)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise missing("body", "file")
    try:
        form = await MultiPartParser(request.headers, chunks).parse()
    except MultiPartException:
        raise Refused(400, "There was an error parsing the body") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise missing("body", "file")
        return _Upload(file.filename or "", await file.read())
    finally:
        await form.close()


ROUTES: Final = (
    route("GET", "/api/v1/inputimage", input_image),
    route("POST", "/api/v1/save_image", save_image),
    route("POST", "/api/v1/gen-info", read_gen_info),
    route("GET", "/api/v1/medias", medias),
    route("GET", "/api/v1/media_file", media_file),
    route("GET", "/api/v1/media_thumbnail_file", media_thumbnail_file),
)
