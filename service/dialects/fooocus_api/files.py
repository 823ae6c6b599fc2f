"""`/files/DATE/NAME`: pictures for everybody who knows their name, in the format their client asks for."""

from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from protocol.errors import ProtocolError
from protocol.jobs import Job
from service.conversion import converted
from service.dialects.base import Desk
from service.dialects.fooocus.choices import Extension
from service.dialects.fooocus.file_names import FileName
from service.dialects.fooocus_api.states import DIALECT_LABEL

_CONVERTED: Final = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/webp": "image/webp",
}
"""`Accept`, exactly -> what the picture is made into."""


async def get_file(request: Request) -> Response:
    """A picture of some job. Its name is the key to it: no other is asked for."""
    desk = Desk.of(request)
    name = FileName.parse(request.path_params["date"], request.path_params["file_name"])
    job = await _job(desk, name) if name is not None else None
    if name is None or job is None:
        return Response(status_code=404)
    try:
        stored = desk.output(job, name.index)
        wanted = _CONVERTED.get(request.headers.get("accept", "").strip().lower(), stored.media_type)
        if wanted != stored.media_type:
            return Response(await anyio.to_thread.run_sync(converted, stored.path, wanted), media_type=wanted)
        await anyio.to_thread.run_sync(stored.path.stat)
    except (ProtocolError, FileNotFoundError):
        return Response(status_code=404)
    return FileResponse(stored.path, media_type=stored.media_type)


async def _job(desk: Desk, name: FileName) -> Job | None:
    store = desk.services.store
    if name.job_id is not None:
        job = await store.job(name.job_id, None)
        if job is not None and (job.labels.get("dialect") != DIALECT_LABEL or "file_name" in job.labels):
            return None
    else:
        job = await store.job_with_file_name(DIALECT_LABEL, name.key)
    if job is None or job.labels.get("extension", Extension.PNG) != name.extension:
        return None
    return job
