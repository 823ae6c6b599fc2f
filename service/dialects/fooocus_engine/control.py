"""`/v1/engine/control`: end a task, or only the picture it is at. The messages are spelt as in the original."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.base import Desk
from service.dialects.fooocus_engine.records import DIALECT_LABEL
from service.dialects.fooocus_engine.requests import ControlQuery
from service.dialects.fooocus_engine.tasks import find
from service.dialects.own_jobs import running_longest
from service.dialects.reading import read_query

_STOP: Final = "stop"
_SKIP: Final = "skip"
_STOPPED: Final = {"message": "task stoped"}
_SKIPPED: Final = {"message": "task skiped"}
_NONE: Final = {"message": "No task running"}
_INVALID: Final = {"message": "Invalid control action"}
_NOT_FOUND: Final = {"detail": "there is no such task, or it is not yours"}


async def control(request: Request) -> Response:
    """Of the caller's task that has been running longest, or of the one that `task_id` names."""
    desk = Desk.of(request)
    key = await desk.key_of(request)
    query = read_query(request, ControlQuery)
    if query.action not in {_STOP, _SKIP}:
        return JSONResponse(_INVALID)
    if query.task_id is None:
        job = await running_longest(desk, key, DIALECT_LABEL)
    else:
        job = await find(desk, query.task_id, key)
        if job is None:
            return JSONResponse(_NOT_FOUND, 404)
    if job is None:
        return JSONResponse(_NONE)
    try:
        # A task that makes one picture ends with it.
        if query.action == _STOP or "images" not in job.params:
            await desk.cancel(job.id, key)
        else:
            await desk.skip(job.id, key)
    except ProtocolError as error:
        if error.code is not ErrorCode.ALREADY_ENDED:
            raise
        return JSONResponse(_NONE)
    return JSONResponse(_STOPPED if query.action == _STOP else _SKIPPED)
