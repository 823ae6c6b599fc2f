"""The quirks of the forms of version 1: lists as repeated or joined fields, structures as JSON in a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson
from pydantic import ValidationError
from starlette.requests import Request

from service.dialects.fastapi_errors import InvalidRequest
from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus.form import form_of
from service.dialects.fooocus_api.requests import FormFields
from service.dialects.reading import parse

F = TypeVar("F", bound=FormFields)
F_co = TypeVar("F_co", bound=FormFields, covariant=True)

_LISTS: Final = ("style_selections", "outpaint_selections")
_LORAS: Final = "loras"
_ADVANCED: Final = "advanced_params"


@dataclass(frozen=True, slots=True)
class Filled(Generic[F_co]):
    """A form as it was filled in.

    Attributes:
        files: those that are not empty.
        echo: its texts, for the answer to a mistake.
        misread: why `advanced_params` counts as not given; None if it was, or could be read.
    """

    fields: F_co
    files: Mapping[str, bytes]
    echo: Mapping[str, Any]
    misread: str | None = None


async def read_form(request: Request, kind: type[F]) -> Filled[F]:
    """The form of a request.

    An `advanced_params` that cannot be read is as if it were not there, as in the original, but not in silence.

    Raises:
        InvalidRequest, ProtocolError: see `form_of` and `parse`; `loras` is no JSON.
    """
    form = await form_of(request)
    echo = form.echo()
    values: dict[str, Any] = {name: given[-1] for name, given in form.texts.items()}
    for name in _LISTS:
        if name in form.texts:
            values[name] = _joined(form.texts[name])
    if _LORAS in values:
        values[_LORAS] = _loras(values[_LORAS], echo)
    advanced = values.pop(_ADVANCED, None)
    misread = None
    if advanced is not None:
        try:
            values[_ADVANCED] = AdvancedFields.model_validate_json(advanced)
        except ValidationError as error:
            first = error.errors()[0]
            misread = f"{_ADVANCED}: {'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}; all defaults"
    fields = parse(kind, values, body=echo, is_flat=True)
    return Filled(fields, form.files, echo, misread)


def _joined(given: Sequence[str]) -> list[str]:
    """Repeated fields, or names with commas, or both."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def _loras(text: str, echo: Mapping[str, Any]) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        detail = {"type": "json_invalid", "loc": ["body", _LORAS], "msg": "JSON decode error", "input": text[:200]}
        raise InvalidRequest([{**detail, "ctx": {"error": str(error)}}], echo) from None
