"""`/inputs/NAME`: the pictures a task was given, for everybody who knows their name."""

import hashlib
from pathlib import Path

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.dialects.base import Desk
from service.dialects.fooocus.files import picture_file
from service.dialects.fooocus_engine.names import input_parts
from service.dialects.fooocus_engine.records import DIALECT_LABEL
from service.files import SUFFIXES

_PNG = "image/png"
"""What the names promise."""


async def get_input(request: Request) -> Response:
    desk = Desk.of(request)
    found = input_parts(request.path_params["file_name"])
    row = await desk.services.store.row(found[0]) if found is not None else None
    if found is None or row is None or orjson.loads(row["labels"]).get("dialect") != DIALECT_LABEL:
        return Response(status_code=404)
    files = desk.services.files
    names = list(orjson.loads(row["inputs"]).values())
    folder = await anyio.to_thread.run_sync(files.inputs, found[0])
    for name in names:
        await files.bring(folder / name)
    path = await anyio.to_thread.run_sync(_with_hash, folder, names, found[1])
    if path is None:
        return Response(status_code=404)
    media_type = next((kind for kind, suffix in SUFFIXES.items() if suffix == path.suffix), "")
    return await picture_file(request, path, media_type, usual=_PNG)


def _with_hash(folder: Path, names: list[str], digest: str) -> Path | None:
    """The file whose hash begins so. Blocks."""
    for path in (folder / name for name in names):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
            return path
    return None
