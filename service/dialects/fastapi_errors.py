"""How services that were made with FastAPI tell of errors: `{"detail": ...}`, a text, or a list of mistakes.

    InvalidRequest         what was sent cannot be read: 422 and a list

Each dialect words that list and the errors of our own API (`ProtocolError`) itself; what is left is here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import ProtocolError
from service.database import StoreUnavailable
from service.dialects.job_ends import ClientGone
from service.errors import problem_response, store_unavailable_handler, unexpected_error_handler

CLIENT_GONE: Final = 499
"""The status in the log of an answer that nobody reads."""
_PAGES: Final = f"https://errors.pydantic.dev/{'.'.join(pydantic.VERSION.split('.')[:2])}/v/"
_NOT_PYDANTICS: Final = frozenset({"json_invalid"})


class InvalidRequest(Exception):
    """A request that cannot be read.

    Args:
        errors: `type`, `loc`, `msg` and perhaps more of each mistake.
        body: what was sent, for dialects that show it.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]], body: object = None) -> None:
        super().__init__(f"{len(errors)} mistakes")
        self.errors = errors
        self.body = body


def with_links(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Mistakes as FastAPI 0.108 tells them: with the page about each that pydantic knows of."""
    return [error if error["type"] in _NOT_PYDANTICS else {**error, "url": _PAGES + error["type"]} for error in errors]


def headers_of(error: ProtocolError) -> dict[str, str]:
    """The headers our own API answers `error` with that tell a client what to do: who it is, or when to try again."""
    ours = problem_response(error).headers
    return {name: ours[name] for name in ("www-authenticate", "retry-after") if name in ours}


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _client_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _store_unavailable(request: Request, error: Exception) -> Response:
    ours = await store_unavailable_handler(request, error)
    detail = "the server cannot store anything at the moment; nothing was changed"
    return JSONResponse({"detail": detail}, ours.status_code, {"retry-after": ours.headers["retry-after"]})


async def _unexpected(request: Request, error: Exception) -> Response:
    await unexpected_error_handler(request, error)
    return JSONResponse({"detail": "the server made a mistake; its log has it"}, 500)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    HTTPException: _http_exception,
    ClientGone: _client_gone,
    StoreUnavailable: _store_unavailable,
    Exception: _unexpected,
}
"""For what no dialect has words of its own for."""
