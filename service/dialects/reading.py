"""Reading a foreign request: its JSON, its query; and the mistakes in it, told as FastAPI tells of them."""

import json
from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from service.api.requests import body_chunks, services_of
from service.dialects.fastapi_errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)

_LONGEST_ECHO: Final = 200


class Foreign(BaseModel):
    """A foreign request, or a part of one: what it has beside the known fields is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


async def json_of(request: Request) -> object:
    """The JSON body of a request; None if it has none. What says of itself to be something else is taken for text.

    Raises:
        InvalidRequest: it is no JSON.
        ProtocolError: `too_large`.
    """
    content = bytearray()
    async for chunk in body_chunks(request, services_of(request).settings.max_body_bytes):
        content += chunk
    if not content:
        return None
    if not _is_json(request):
        return bytes(content).decode(errors="replace")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _lenient_json(bytes(content))


def parse(kind: type[M], value: object, *, place: str = "body", body: object = None, is_flat: bool = False) -> M:
    """Read a decoded body, form or query.

    Args:
        place: where it stood: `body` or `query`.
        is_flat: its fields came one by one: what is not there has no input.
        body: the whole of what was sent, for the answer to a mistake.

    Raises:
        InvalidRequest: it is not such a one.
    """
    if value is None:
        raise missing(place, body=body)
    try:
        found: M = _adapter(kind).validate_python(value, from_attributes=True)
    except ValidationError as error:
        raise InvalidRequest([_shown(detail, place, is_flat=is_flat) for detail in error.errors()], cut(body)) from None
    return found


async def read_json(request: Request, kind: type[M]) -> M:
    """The JSON body of a request.

    Raises:
        InvalidRequest, ProtocolError: see `json_of` and `parse`.
    """
    body = await json_of(request)
    return parse(kind, body, body=body)


def read_query(request: Request, kind: type[M]) -> M:
    """The query of a request.

    Raises:
        InvalidRequest: something is missing, or of another type.
    """
    return parse(kind, dict(request.query_params), place="query", is_flat=True)


def missing(*place: str, body: object = None) -> InvalidRequest:
    """That something is not there."""
    detail = {"type": "missing", "loc": list(place), "msg": "Field required", "input": None}
    return InvalidRequest([detail], cut(body))


def cut(value: object) -> object:
    """The same JSON with its long texts cut short: a mistake need not send whole pictures back."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_ECHO else f"{value[:_LONGEST_ECHO]}..."
    if isinstance(value, Mapping):
        return {str(name): cut(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cut(item) for item in value]
    # NaN and infinity are read, but JSON cannot say them.
    is_plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
    return value if is_plain else str(value)[:_LONGEST_ECHO]


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return media_type.startswith("application/") and media_type.removeprefix("application/").endswith("json")


def _lenient_json(content: bytes) -> object:
    """Read as the originals do, which take `NaN` and unpaired surrogates; their error says where reading ended."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        detail: dict[str, Any] = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
        detail |= {"input": {}, "ctx": {"error": error.msg}}
    except (ValueError, RecursionError):  # not UTF-8, a number of too many digits, or nested too deeply
        detail = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
    raise InvalidRequest([detail], cut(content.decode(errors="replace")))


@cache
def _adapter(kind: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(kind)


def _shown(detail: ErrorDetails, place: str, *, is_flat: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": detail["type"], "loc": [place, *detail["loc"]], "msg": detail["msg"]}
    shown["input"] = None if is_flat and detail["type"] == "missing" else cut(detail["input"])
    if "ctx" in detail:
        shown["ctx"] = {name: cut(value) for name, value in detail["ctx"].items()}
    return shown
