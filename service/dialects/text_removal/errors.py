"""How the text-removal service tells of errors: `{"detail": ...}`, a text, or a list of what a body got wrong.

The original answers mistakes of its callers with 500 and `"400: ..."`; here they are 4xx.
"""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.dialects.base import ClientGone, JobNotDone
from service.dialects.iopaint.errors import InvalidRequest, Refused
from service.errors import problem_response, store_unavailable_handler, unexpected_error_handler
from service.store import StoreUnavailable

_CLIENT_GONE: Final = 499
_STATUS: Final[Mapping[ErrorCode, int]] = {
    # A 422 has a list in `detail`; these have a text.
    ErrorCode.BAD_IMAGE: 400,
    ErrorCode.INVALID_PARAMS: 400,
    ErrorCode.IMAGE_TOO_LARGE: 413,
    # Which model works is the operator's business, not the caller's.
    ErrorCode.MODEL_MISSING: 503,
    ErrorCode.BAD_MODEL: 503,
}
"""Where this dialect answers with another status than our own API."""


def status_of(error: ProtocolError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    fallback = error.http_status if isinstance(error, JobNotDone) else int(HTTP_STATUS[error.code])
    return _STATUS.get(error.code, fallback)


def not_found(task_id: str) -> Refused:
    """That there is no such task, or that it is not the caller's."""
    return Refused(404, f"Task {task_id:.160} not found")


async def _protocol_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    ours = problem_response(error).headers
    kept = {name: ours[name] for name in ("www-authenticate", "retry-after") if name in ours}
    return JSONResponse({"detail": error.message}, status_of(error), kept)


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return JSONResponse({"detail": error.errors}, 422)


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _client_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)


async def _store_unavailable(request: Request, error: Exception) -> Response:
    ours = await store_unavailable_handler(request, error)
    detail = "the server cannot store anything at the moment; nothing was changed"
    return JSONResponse({"detail": detail}, ours.status_code, {"retry-after": ours.headers["retry-after"]})


async def _unexpected(request: Request, error: Exception) -> Response:
    await unexpected_error_handler(request, error)
    return JSONResponse({"detail": "the server made a mistake; its log has it"}, 500)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    ProtocolError: _protocol_error,
    InvalidRequest: _invalid_request,
    HTTPException: _http_exception,
    ClientGone: _client_gone,
    StoreUnavailable: _store_unavailable,
    Exception: _unexpected,
}
