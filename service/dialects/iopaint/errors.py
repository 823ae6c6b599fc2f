"""How IOPaint tells of errors: four keys, of which its page shows `errors`; of what a body got wrong, with a list.

    ProtocolError          ours, of whatever kind
      Refused              what this dialect refuses, in the words of the original where it has some
                           (service/dialects/refusal.py)
    InvalidRequest         fields that cannot be read: 422 and a list (service/dialects/fastapi_errors.py)

The original answers mistakes of its callers with 500; here they are 4xx.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.database import StoreUnavailable
from service.dialects.fastapi_errors import CLIENT_GONE, InvalidRequest, headers_of, with_links
from service.dialects.job_ends import ClientGone, JobNotDone
from service.dialects.refusal import Refused
from service.errors import store_unavailable_handler, unexpected_error_handler
from service.inputs import MaskMisfit

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_STATUS: Final[Mapping[ErrorCode, int]] = {ErrorCode.BAD_IMAGE: 400, ErrorCode.IMAGE_TOO_LARGE: 413}
"""Where this dialect answers with another status than our own API."""
_MOST_TOLD: Final = 500


def error_body(name: str, status: int, detail: str) -> dict[str, str]:
    """The four keys.

    Args:
        name: what the original shows as the class of the exception.
    """
    return {"error": name, "detail": detail, "body": "", "errors": f"{status}: {detail}"}


def error_response(error: ProtocolError) -> Response:
    """The answer to a request that met `error`."""
    message = error.message
    if isinstance(error, Refused):
        status = error.status
    elif isinstance(error, MaskMisfit):
        image, mask = ((found.height, found.width) for found in (error.image, error.mask))
        status, message = 400, f"Image size({image}) and mask size({mask}) not match."
    elif isinstance(error, JobNotDone):
        status = _STATUS.get(error.code, error.http_status)
    else:
        status = _STATUS.get(error.code, int(HTTP_STATUS[error.code]))
    return JSONResponse(error_body("HTTPException", status, message), status, headers_of(error))


def answered(endpoint: Endpoint) -> Endpoint:
    """The same endpoint, with every error answered as IOPaint's clients expect it."""

    @wraps(endpoint)
    async def answering(request: Request) -> Response:
        try:
            return await endpoint(request)
        except InvalidRequest as invalid:
            return _mistakes(invalid)
        except ProtocolError as error:
            return error_response(error)
        except HTTPException as error:
            return JSONResponse(error_body("HTTPException", error.status_code, error.detail), error.status_code)
        except ClientGone:
            return Response(status_code=CLIENT_GONE)
        except StoreUnavailable as error:
            ours = await store_unavailable_handler(request, error)
            detail = "the server cannot store anything at the moment"
            retry = {"retry-after": ours.headers["retry-after"]}
            return JSONResponse(error_body("HTTPException", ours.status_code, detail), ours.status_code, retry)
        except Exception as error:  # noqa: BLE001 - logged by our own handler, which gives it an id
            await unexpected_error_handler(request, error)
            return JSONResponse(error_body("InternalError", 500, "the server made a mistake; its log has it"), 500)

    return answering


def _mistakes(invalid: InvalidRequest) -> Response:
    """The list of the original, and the three keys it lacks: its page shows `errors`, whatever went wrong."""
    told = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors)
    body = error_body("RequestValidationError", 422, told[:_MOST_TOLD])
    return JSONResponse({**body, "detail": with_links(invalid.errors)}, 422)


async def http_exception_handler(request: Request, error: Exception) -> Response:
    """Paths and methods that nothing answers: what is read and not there is 404, whatever else could be done there."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method in {"GET", "HEAD"}:
        return JSONResponse({"detail": "Not Found"}, 404)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def protocol_error_handler(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    return error_response(error)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    HTTPException: http_exception_handler,
    ProtocolError: protocol_error_handler,
}
"""For whatever happens outside an endpoint of this dialect, on its paths."""
