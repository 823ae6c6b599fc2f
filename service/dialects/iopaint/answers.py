"""What endpoints of this dialect have in common: pictures in, files out, and how a route is made."""

from functools import partial
from typing import Final

import anyio.to_thread
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from service.dialects.base import Desk
from service.dialects.base64_picture import decode_picture
from service.dialects.iopaint.errors import Endpoint, answered
from service.dialects.stored_file import StoredFile

LABELS: Final = {"dialect": "iopaint"}
"""On every job of this dialect."""
_THREADED_FROM_CHARACTERS: Final = 1 << 16


async def picture_in(desk: Desk, text: str | None, name: str) -> bytes:
    """The file in a field of a body; see `decode_picture`."""
    decode = partial(decode_picture, text, name, desk.services.settings.max_upload_bytes)
    # A short text is decoded faster than a thread is found for it.
    return await anyio.to_thread.run_sync(decode) if len(text or "") > _THREADED_FROM_CHARACTERS else decode()


def file_answer(stored: StoredFile, headers: dict[str, str] | None = None) -> Response:
    """An output as it is, under the media type the original gives it."""
    media_type = stored.media_type.replace("x-portable-pixmap", "ppm")
    return FileResponse(stored.path, media_type=media_type, headers=headers)


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    """A route that answers errors in this dialect's words."""
    made = Route(path, answered(endpoint), methods=[method])
    # Starlette adds HEAD to GET; the original answers it with 404.
    made.methods = {method}
    return made
