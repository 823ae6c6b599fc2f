"""The pictures of jobs by DATE/NAME, for everybody who knows their name, in the format their client asks for."""

from collections.abc import Awaitable, Callable
from pathlib import Path
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

CONVERTED: Final = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/webp": "image/webp",
}
"""`Accept`, exactly -> what the picture is made into."""


def published_by(dialect: str) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of the pictures of a dialect's jobs.

    Args:
        dialect: the label on its jobs.
    """

    async def get_file(request: Request) -> Response:
        """A picture of some job. Its name is the key to it: no other is asked for."""
        desk = Desk.of(request)
        name = FileName.parse(request.path_params["date"], request.path_params["file_name"])
        job = await _job(desk, dialect, name) if name is not None else None
        if name is None or job is None:
            return Response(status_code=404)
        try:
            stored = desk.output(job, name.index)
        except ProtocolError:
            return Response(status_code=404)
        path = await desk.services.files.bring(stored.path)
        return await picture_file(request, path, stored.media_type)

    return get_file


async def picture_file(request: Request, path: Path, media_type: str, usual: str | None = None) -> Response:
    """The picture of a file, in the format that is accepted.

    Args:
        media_type: of the file.
        usual: the format for whoever accepts none of ours; by default its own.
    """
    wanted = CONVERTED.get(request.headers.get("accept", "").strip().lower(), usual or media_type)
    try:
        if wanted != media_type:
            return Response(await anyio.to_thread.run_sync(converted, path, wanted), media_type=wanted)
        await anyio.to_thread.run_sync(path.stat)
    except FileNotFoundError:
        return Response(status_code=404)
    return FileResponse(path, media_type=media_type)


async def _job(desk: Desk, dialect: str, name: FileName) -> Job | None:
    store = desk.services.store
    if name.job_id is not None:
        job = await store.job(name.job_id, None)
        if job is not None and (job.labels.get("dialect") != dialect or "file_name" in job.labels):
            return None
    else:
        job = await store.job_with_file_name(dialect, name.key)
    if job is None or job.labels.get("extension", Extension.PNG) != name.extension:
        return None
    return job
