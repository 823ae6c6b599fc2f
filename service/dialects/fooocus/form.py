"""A form that was sent, read as FastAPI reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from service.api.requests import body_chunks, services_of
from service.dialects.fastapi_errors import InvalidRequest

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
    except MultiPartException as error:
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
