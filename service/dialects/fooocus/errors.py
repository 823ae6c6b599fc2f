"""How Fooocus' APIs tell of errors: `{"detail": ...}`, a text, or a list of mistakes.

The originals answer many mistakes of their callers with a 500 and nothing else; here they are 4xx and say what is
wrong.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.dialects import fastapi_errors
from service.dialects.fastapi_errors import InvalidRequest, headers_of
from service.dialects.fooocus.answers import json_answer

_STATUS: Final[Mapping[ErrorCode, int]] = {
    # Whoever calls without the key is forbidden to, never unauthorized.
    ErrorCode.UNAUTHORIZED: 403,
    # A 422 has a list in `detail`; these have a text.
    ErrorCode.BAD_IMAGE: 400,
    ErrorCode.FETCH_FAILED: 400,
    ErrorCode.INVALID_PARAMS: 400,
    ErrorCode.MODEL_MISSING: 400,
    ErrorCode.BAD_MODEL: 400,
    ErrorCode.IMAGE_TOO_LARGE: 413,
}
"""Where this dialect answers with another status than our own API."""
_FORBIDDEN: Final = "Forbidden"


async def _protocol_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    status = _STATUS.get(error.code, int(HTTP_STATUS[error.code]))
    if status == 403:
        return JSONResponse({"detail": _FORBIDDEN}, status)
    return JSONResponse({"detail": error.message}, status, headers_of(error))


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return await json_answer(request, {"detail": error.errors}, 422)


async def _invalid_request_with_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return await json_answer(request, {"detail": error.errors, "body": error.body}, 422)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    **fastapi_errors.EXCEPTION_HANDLERS,
    ProtocolError: _protocol_error,
    InvalidRequest: _invalid_request,
}
"""Of FooocusAPI."""
WITH_BODY: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    **EXCEPTION_HANDLERS,
    InvalidRequest: _invalid_request_with_body,
}
"""Of Fooocus-API, which shows the body that the mistakes are in as well."""
