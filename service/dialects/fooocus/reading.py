"""Reading a foreign request: its JSON, its form, its query; and the mistakes in it, told as FastAPI tells of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from service.api.requests import body_chunks, services_of
from service.dialects.fastapi_errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)

_LONGEST_ECHO: Final = 200
_MOST_FILES: Final = 16
_MOST_FIELDS: Final = 300
_LONGEST_FIELD: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent.

    Attributes:
        texts: every field that is no file and not empty -> what it was given, one or several times.
        files: every file that is not empty.
    """

    texts: Mapping[str, Sequence[str]]
    files: Mapping[str, bytes] = field(repr=False)

    def echo(self) -> dict[str, Any]:
        """The texts, as the answer to a mistake shows them."""
        return {name: values[0] if len(values) == 1 else list(values) for name, values in self.texts.items()}


async def json_of(request: Request) -> object:
    """The JSON body of a request; None if it has none.

    Raises:
        InvalidRequest: it is no JSON.
        ProtocolError: `too_large`.
    """
    content = bytearray()
    async for chunk in body_chunks(request, services_of(request).settings.max_body_bytes):
        content += chunk
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _lenient_json(bytes(content))


async def form_of(request: Request) -> Form:
    """The form of a request, multipart or URL-encoded; an empty one if it has none.

    Raises:
        InvalidRequest: it cannot be read.
        ProtocolError: `too_large`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    chunks = body_chunks(request, services_of(request).settings.max_upload_bytes)
    limits = {"max_fields": _MOST_FIELDS, "max_part_size": _LONGEST_FIELD}
    try:
        if media_type == "multipart/form-data":
            form = await MultiPartParser(request.headers, chunks, max_files=_MOST_FILES, **limits).parse()
        elif media_type == "application/x-www-form-urlencoded":
            form = await FormParser(request.headers, chunks, **limits).parse()
        else:
            return Form({}, {})
    except (MultiPartException, KeyError) as error:  # KeyError: no boundary
        detail = {"type": "form_invalid", "loc": ["body"], "msg": f"Form cannot be read: {error}", "input": None}
        raise InvalidRequest([detail]) from None
    texts: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                if content:
                    files[name] = content
            elif value != "":
                texts.setdefault(name, []).append(value)
    finally:
        await form.close()
    return Form(texts, files)


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
        found: M = _adapter(kind).validate_python(value)
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


def _lenient_json(content: bytes) -> object:
    """Read as the originals do, which take `NaN`; their error says where reading ended."""
    text = content.decode(errors="replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        detail: dict[str, Any] = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
        raise InvalidRequest([{**detail, "input": {}, "ctx": {"error": error.msg}}], cut(text)) from None
    except (ValueError, RecursionError):  # a number of too many digits, or nested too deeply
        detail = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
        raise InvalidRequest([detail], cut(text)) from None


@cache
def _adapter(kind: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(kind)


def _shown(detail: ErrorDetails, place: str, *, is_flat: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": detail["type"], "loc": [place, *detail["loc"]], "msg": detail["msg"]}
    shown["input"] = None if is_flat and detail["type"] == "missing" else cut(detail["input"])
    if "ctx" in detail:
        shown["ctx"] = {name: cut(value) for name, value in detail["ctx"].items()}
    return shown
