"""Decoded maps to our types, forgiving towards a newer server: unknown fields, events and codes do no harm."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from protocol.codec import event_from
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import EVENTS, Event
from protocol.jobs import Job
from safelight.errors import RequestRefused, UnexpectedAnswer

_CODES: Final = frozenset(ErrorCode)


def read_event(fields: Mapping[str, Any]) -> Event | None:
    """Read an event; None for a type that this version does not know.

    Raises:
        UnexpectedAnswer: it is no event.
    """
    if fields.get("type") not in EVENTS:
        return None
    data = fields.get("data")
    if isinstance(data, Mapping):
        if isinstance(data.get("error"), Mapping):
            fields = {**fields, "data": {**data, "error": _known_error(data["error"])}}
        elif isinstance(data.get("bytes"), str):  # a preview that came as text
            fields = {**fields, "data": {**data, "bytes": _from_base64(data["bytes"])}}
    try:
        return event_from(fields)
    except ProtocolError as error:
        raise UnexpectedAnswer(f"the server sent an event that cannot be read: {error.message}") from None


def read_job(fields: object) -> Job:
    """Read a job.

    Raises:
        UnexpectedAnswer: it is none, or of a task this version does not know.
    """
    if isinstance(fields, Mapping) and isinstance(fields.get("error"), Mapping):
        fields = {**fields, "error": _known_error(fields["error"])}
    try:
        return Job.model_validate(fields)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in finding["loc"]) or "the whole"
        raise UnexpectedAnswer(f"the server sent a job that cannot be read: {place}: {finding['msg']}") from None


def read_refusal(fields: object, status: int | None = None) -> RequestRefused:
    """Read the error of a reply, or an RFC 9457 problem document, as an exception to raise."""
    if not isinstance(fields, Mapping) or "code" not in fields:
        return RequestRefused(ErrorCode.INTERNAL, f"the server gave no reason: {fields!r:.200}", status=status)
    message = fields.get("message") or fields.get("detail") or fields.get("title") or "the server gave no reason"
    field = fields.get("field")
    return RequestRefused(str(fields["code"]), str(message), field if isinstance(field, str) else None, status)


def _known_error(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    code = fields.get("code")
    if code in _CODES:
        return fields
    return {**fields, "code": ErrorCode.INTERNAL, "message": f"{code}: {fields.get('message', '')}"}


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise UnexpectedAnswer(f"the server sent a preview that is no base64: {error}") from None
