"""How the text-removal service tells of errors: `{"detail": ...}`, a text, or a list of what a body got wrong.

The original answers mistakes of its callers with 500 and `"400: ..."`; here they are 4xx.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.dialects import fastapi_errors
from service.dialects.fastapi_errors import InvalidRequest, headers_of, with_links
from service.dialects.job_ends import JobNotDone
from service.dialects.refusal import Refused

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
    return JSONResponse({"detail": error.message}, status_of(error), headers_of(error))


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return JSONResponse({"detail": with_links(error.errors)}, 422)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    **fastapi_errors.EXCEPTION_HANDLERS,
    ProtocolError: _protocol_error,
    InvalidRequest: _invalid_request,
}
