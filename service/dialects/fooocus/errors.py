"""How Fooocus' APIs tell of errors: `{"detail": ...}`, a text, or a list of mistakes.

The originals answer many mistakes of their callers with a 500 and nothing else; here they are 4xx and say what is
wrong.
"""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.dialects.base import ClientGone
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.reading import InvalidRequest
from service.errors import problem_response, store_unavailable_handler, unexpected_error_handler
from service.store import StoreUnavailable

_CLIENT_GONE: Final = 499
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
    ours = problem_response(error).headers
    kept = {name: ours[name] for name in ("retry-after",) if name in ours}
    return JSONResponse({"detail": error.message}, status, kept)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return await json_answer(request, {"detail": error.errors}, 422)


async def _invalid_request_with_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return await json_answer(request, {"detail": error.errors, "body": error.body}, 422)


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
"""Of FooocusAPI."""
WITH_BODY: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    **EXCEPTION_HANDLERS,
    InvalidRequest: _invalid_request_with_body,
}
"""Of Fooocus-API, which shows the body that the mistakes are in as well."""
