"""Errors on their way out over HTTP: every one is a problem document with a stable code.

    ProtocolError            a mistake of the caller, found while reading what it sent (protocol/errors.py)
      ServiceError           what the server cannot do now, and when to try again
    ReaderStalled            nobody's mistake of ours: the caller stopped reading its answer
    AnswerCutOff             what was being sent has gone meanwhile

`EXCEPTION_HANDLERS` turns these, Starlette's own refusals and our own mistakes into answers.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ExceptionHandler

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import new_id
from service.database import StoreUnavailable

logger = structlog.get_logger(__name__)

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
LOGGED_NOTE: Final = "logged as "
"""Begins a note on an exception that has been logged; it is raised further, and others need not log it again."""
_CHALLENGE: Final = 'Bearer realm="safelight"'
_RETRY_AFTER_S: Final = 5.0
_CODES: Final[Mapping[int, ErrorCode]] = {
    400: ErrorCode.MALFORMED,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    406: ErrorCode.NOT_ACCEPTABLE,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    429: ErrorCode.QUEUE_FULL,
    503: ErrorCode.NOT_READY,
}
"""Status of an exception of Starlette's own -> our code; other 4xx are `malformed`, other 5xx `internal`."""


class ServiceError(ProtocolError):
    """Something the server cannot do now.

    Args:
        retry_after_s: when it is worth trying again; told in `Retry-After`, rounded up to whole seconds.
    """

    def __init__(
        self, code: ErrorCode, message: str, field: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, field)
        self.retry_after_s = retry_after_s


class ReaderStalled(Exception):
    """A caller does not read the answer that is being sent; its connection is dropped."""


class AnswerCutOff(Exception):
    """An answer that has begun cannot be ended; its connection is dropped, so that nobody takes it for whole."""


def problem_response(error: ProtocolError, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that met `error`; also denies a WebSocket handshake (ASGI `websocket.http.response`).

    Args:
        headers: beside those that follow from the error.
    """
    problem = error.problem()
    sent = dict(headers or {})
    if error.code is ErrorCode.UNAUTHORIZED:
        sent.setdefault("WWW-Authenticate", _CHALLENGE)
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        sent.setdefault("Retry-After", str(max(1, -int(-error.retry_after_s // 1))))
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, problem.status, sent, media_type=PROBLEM_MEDIA_TYPE)


async def protocol_error_handler(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    return problem_response(error)


async def store_unavailable_handler(_request: Request, error: Exception) -> Response:
    logger.error("request.not_stored", reason=str(error))
    message = "the server cannot store anything at the moment; nothing was changed"
    return problem_response(ServiceError(ErrorCode.NOT_READY, message, retry_after_s=_RETRY_AFTER_S))


async def http_exception_handler(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such route, no such method), in our shape; their headers (`Allow`) are kept."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status < 400:
        return Response(status_code=status, headers=error.headers)
    code = _CODES.get(status, ErrorCode.MALFORMED if status < 500 else ErrorCode.INTERNAL)
    headers = dict(error.headers or {})
    if code is ErrorCode.NOT_FOUND:
        message = f"there is nothing at {request.url.path}"
    elif code is ErrorCode.METHOD_NOT_ALLOWED:
        allowed = headers["Allow"] = ", ".join(_methods(request))
        message = f"method: expected {allowed}, got {_method(request)} at {request.url.path}"
    else:
        message = error.detail
    return problem_response(ProtocolError(code, message), headers=headers)


async def unexpected_error_handler(request: Request, error: Exception) -> Response:
    """A bug of ours: the caller gets an id to ask about, the log the id and the traceback."""
    error_id = new_id()
    error.add_note(f"{LOGGED_NOTE}{error_id}")
    if isinstance(error, ReaderStalled):  # raised as far as the server, which knows no other way to drop a connection
        logger.info("reader.stalled", path=quote(request.url.path))
        return Response(status_code=500)  # never sent: the answer had begun
    if isinstance(error, AnswerCutOff):
        logger.info("answer.cut_off", path=quote(request.url.path), reason=str(error))
        return Response(status_code=500)  # never sent, as above
    logger.error(
        "request.failed", exc_info=error, error_id=error_id, method=_method(request), path=quote(request.url.path)
    )
    return problem_response(
        ProtocolError(ErrorCode.INTERNAL, f"the server made a mistake; its log has it as {error_id}")
    )


def _methods(request: Request) -> list[str]:
    """Every method of this path: Starlette tells those of the first route that has it, and one may have several."""
    matching = (
        route.methods or ()
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return sorted({method for methods in matching for method in methods})


def _method(request: Request) -> str:
    # Starlette calls these handlers with WebSockets too, which have none.
    return str(request.scope.get("method", "GET"))


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    ProtocolError: protocol_error_handler,
    StoreUnavailable: store_unavailable_handler,
    HTTPException: http_exception_handler,
    Exception: unexpected_error_handler,
}
"""For `Starlette(exception_handlers=...)`."""
