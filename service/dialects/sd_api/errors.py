"""How the Stable Diffusion API tells of errors: `{"detail": ...}`, a text, or a list of what a body got wrong.

The list is worded as its document has it, which is how FastAPI worded it over version 1 of pydantic.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from service.dialects import fastapi_errors
from service.dialects.fastapi_errors import InvalidRequest, headers_of
from service.dialects.sd_api.requests import OUR_NAMES
from service.errors import unexpected_error_handler

UNAUTHORIZED: Final = "认证失败：API Key无效或缺失"
NOT_FOUND: Final = "任务不存在"
INTERNAL: Final = "服务器内部错误"
_STATUS: Final[Mapping[ErrorCode, int]] = {
    # A 422 has a list in `detail`; these have a text.
    ErrorCode.BAD_IMAGE: 400,
    ErrorCode.FETCH_FAILED: 400,
    ErrorCode.INVALID_PARAMS: 400,
    ErrorCode.IMAGE_TOO_LARGE: 413,
    # Which model works is the operator's business, not the caller's.
    ErrorCode.MODEL_MISSING: 503,
    ErrorCode.BAD_MODEL: 503,
}
"""Where this dialect answers with another status than our own API."""
_FIELDS: Final = {
    **{f"$.params.{ours}": name for name, ours in OUR_NAMES.items()},
    "$.webhook.url": "callback_url",
}
"""Where our own API finds a mistake -> the field that a client of this one made it in."""


class _Wording(NamedTuple):
    message: Callable[[Mapping[str, Any]], str]
    type: str


def _said(message: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _limits: message


_INTEGER: Final = _Wording(_said("value is not a valid integer"), "type_error.integer")
_FLOAT: Final = _Wording(_said("value is not a valid float"), "type_error.float")
_MEMBER: Final = _Wording(
    lambda limits: f"value is not a valid enumeration member; permitted: {limits['expected']}", "type_error.enum"
)
_WORDINGS: Final[Mapping[str, _Wording]] = {
    "missing": _Wording(_said("field required"), "value_error.missing"),
    "string_type": _Wording(_said("str type expected"), "type_error.str"),
    "string_too_long": _Wording(
        lambda limits: f"ensure this value has at most {limits['max_length']} characters",
        "value_error.any_str.max_length",
    ),
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _FLOAT,
    "float_parsing": _FLOAT,
    "finite_number": _FLOAT,
    "greater_than_equal": _Wording(
        lambda limits: f"ensure this value is greater than or equal to {limits['ge']}", "value_error.number.not_ge"
    ),
    "less_than_equal": _Wording(
        lambda limits: f"ensure this value is less than or equal to {limits['le']}", "value_error.number.not_le"
    ),
    "enum": _MEMBER,
    "model_attributes_type": _Wording(_said("value is not a valid dict"), "type_error.dict"),
    "json_invalid": _Wording(_said("the body is not JSON"), "value_error.jsondecode"),
}
"""Kind of mistake, as pydantic names it now -> how it was told of. What is not here keeps its present wording."""


def mistake(found: Mapping[str, Any]) -> dict[str, Any]:
    """One item of the list.

    Args:
        found: `type`, `loc`, `msg` and perhaps `ctx`, as pydantic tells of it now.
    """
    wording = _WORDINGS.get(found["type"])
    if wording is None:
        return {"loc": found["loc"], "msg": found["msg"], "type": "value_error"}
    return {"loc": found["loc"], "msg": wording.message(found.get("ctx", {})), "type": wording.type}


def _worded(error: ProtocolError) -> str:
    """What was wrong, with the field in it that the client sent, and not the parameter that it became."""
    theirs = _FIELDS.get(error.field or "")
    if theirs is None or error.field is None:
        return error.message
    message = error.message.removesuffix(f" at {error.field}")
    ours = error.field.rpartition(".")[2]
    return f"{theirs}:{message.removeprefix(f'{ours}:')}" if message.startswith(f"{ours}:") else message


async def _protocol_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    kept = headers_of(error)
    if error.code is ErrorCode.INVALID_PARAMS and error.field in _FIELDS:
        told = {"loc": ["body", _FIELDS[error.field]], "msg": _worded(error), "type": "value_error"}
        return JSONResponse({"detail": [told]}, 422, kept)
    detail = UNAUTHORIZED if error.code is ErrorCode.UNAUTHORIZED else _worded(error)
    return JSONResponse({"detail": detail}, _STATUS.get(error.code, int(HTTP_STATUS[error.code])), kept)


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRequest)
    return JSONResponse({"detail": [mistake(found) for found in error.errors]}, 422)


async def _unexpected(request: Request, error: Exception) -> Response:
    await unexpected_error_handler(request, error)
    return JSONResponse({"detail": INTERNAL}, 500)


EXCEPTION_HANDLERS: Final[Mapping[int | type[Exception], ExceptionHandler]] = {
    **fastapi_errors.EXCEPTION_HANDLERS,
    ProtocolError: _protocol_error,
    InvalidRequest: _invalid_request,
    Exception: _unexpected,
}
