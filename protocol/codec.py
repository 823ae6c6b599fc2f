"""Types to bytes and back: orjson text and msgpack binary, with the same names in both.

    {"type": "step.finished", "job_id": "...", "seq": 2, "at": "...", "attempt": 1, "n": 7, "data": {...}}

A preview's bytes do not fit JSON text: in the JSON codec `preview.ready` is a binary frame (see `protocol.frames`),
in msgpack its `data.bytes` is a bin. For transports that are text all through (SSE), `event_text` puts base64, or a
`url` where the newest preview is, in its place.
"""

import base64
import builtins
import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgpack
import orjson
from pydantic import TypeAdapter, ValidationError

from protocol import frames
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import EVENTS, Event, EventBody, PreviewReady
from protocol.validation import explain
from protocol.version import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL

_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {}
_NAMES: Final = {body: tuple(field.name for field in dataclasses.fields(body)) for body in EVENTS.values()}


def event_fields(event: Event, *, with_bytes: bool = True) -> dict[str, Any]:
    """The event as plain values, in the order and with the names they have on the wire."""
    fields = _envelope(event)
    fields["data"] = body_fields(event.body)
    if not with_bytes:
        fields["data"].pop("bytes", None)
    return fields


def body_text(event: Event) -> bytes:
    """The body of an event other than a preview as JSON; encoded once, and kept in `event.frames`."""
    text = event.frames.get("body")
    if text is None:
        text = event.frames["body"] = orjson.dumps(body_fields(event.body))
    return text


def _envelope(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": event.type}
    if event.job_id is not None:
        fields["job_id"] = event.job_id
        fields["seq"] = event.seq
    fields["at"] = event.at
    if event.n is not None:
        if event.attempt is not None:
            fields["attempt"] = event.attempt
        fields["n"] = event.n
    if event.cursor is not None:
        fields["cursor"] = event.cursor
    return fields


def body_fields(body: EventBody) -> dict[str, Any]:
    """The body of an event as plain values; fields that are None are left out."""
    fields = {}
    for name in _NAMES[type(body)]:
        value = getattr(body, name)
        if value is not None:
            fields[name] = value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value
    return fields


def body_from(kind: str, fields: Mapping[str, Any]) -> EventBody:
    """Read the body of an event of type `kind`; fields this version does not know are ignored.

    Raises:
        ProtocolError: `malformed` for an unknown type, `invalid_params` for a wrong field.
    """
    if kind not in EVENTS:
        raise ProtocolError(ErrorCode.MALFORMED, f"type: {kind!r:.60} is no event of this protocol version", "$.type")
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(EVENTS[kind])
    try:
        body: EventBody = _ADAPTERS[kind].validate_python(fields)
    except ValidationError as error:
        raise explain(error, at="$.data", kind=_ADAPTERS[kind]) from None
    return body


def event_from(fields: Mapping[str, Any]) -> Event:
    """Read a decoded event.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return Event(
            body_from(fields["type"], fields["data"]),
            job_id=fields.get("job_id"),
            seq=fields.get("seq", 0),
            at=fields["at"],
            attempt=fields.get("attempt"),
            n=fields.get("n"),
            cursor=fields.get("cursor"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(ErrorCode.MALFORMED, f"not an event: {error!r}") from None


def event_text(event: Event, *, inline_previews: bool = False) -> bytes:
    """The event as JSON text alone; a preview's bytes as base64, or a URL instead.

    Encoded once per event and form, and kept in `event.frames`.
    """
    form = "text+base64" if inline_previews else "text"
    text = event.frames.get(form)
    if text is None:
        if not isinstance(event.body, PreviewReady):
            fields = _envelope(event)
            fields["data"] = orjson.Fragment(body_text(event))
        else:
            fields = event_fields(event, with_bytes=False)
            if inline_previews:
                fields["data"]["bytes"] = base64.b64encode(event.body.bytes).decode("ascii")
            else:
                fields["data"]["url"] = f"/v1/jobs/{event.job_id}/preview"
        text = event.frames[form] = orjson.dumps(fields)
    return text


class Codec(Protocol):
    """One way to write messages and events into WebSocket frames."""

    @property
    def name(self) -> str: ...

    @property
    def subprotocol(self) -> str: ...

    def event_frame(self, event: Event) -> builtins.bytes:
        """The event encoded; once per event, kept in `event.frames`."""
        ...

    def is_binary(self, event: Event) -> bool:
        """Whether `event_frame` belongs in a binary frame rather than a text frame."""
        ...

    def encode(self, message: Mapping[str, Any]) -> builtins.bytes:
        """A reply or a client message, encoded."""
        ...

    @property
    def messages_are_binary(self) -> bool: ...

    def decode(self, frame: str | builtins.bytes) -> dict[str, Any]:
        """A frame's map of plain values; the preview bytes of a binary JSON frame are put back in `data.bytes`.

        Raises:
            ProtocolError: `malformed`.
        """
        ...


class JsonCodec:
    """Text frames; previews as binary frames."""

    name: Final = "json"
    subprotocol: Final = JSON_SUBPROTOCOL
    messages_are_binary: Final = False

    def event_frame(self, event: Event) -> bytes:
        if not isinstance(event.body, PreviewReady):
            return event_text(event)
        frame = event.frames.get(self.name)
        if frame is None:
            header = orjson.dumps(event_fields(event, with_bytes=False))
            frame = event.frames[self.name] = frames.pack(header, event.body.bytes)
        return frame

    def is_binary(self, event: Event) -> bool:
        return isinstance(event.body, PreviewReady)

    def encode(self, message: Mapping[str, Any]) -> bytes:
        return orjson.dumps(message)

    def decode(self, frame: str | bytes) -> dict[str, Any]:
        if isinstance(frame, str):
            return _map(_json(frame))
        header, payload = frames.unpack(frame)
        message = _map(_json(header))
        if isinstance(message.get("data"), dict):
            message["data"]["bytes"] = payload
        return message


class MsgpackCodec:
    """Every frame one msgpack map."""

    name: Final = "msgpack"
    subprotocol: Final = MSGPACK_SUBPROTOCOL
    messages_are_binary: Final = True

    def event_frame(self, event: Event) -> bytes:
        frame = event.frames.get(self.name)
        if frame is None:
            frame = event.frames[self.name] = msgpack.packb(event_fields(event))
        return frame

    def is_binary(self, event: Event) -> bool:  # noqa: ARG002 - the answer is the same for all
        return True

    def encode(self, message: Mapping[str, Any]) -> bytes:
        packed: bytes = msgpack.packb(message)
        return packed

    def decode(self, frame: str | bytes) -> dict[str, Any]:
        if isinstance(frame, str):
            raise ProtocolError(ErrorCode.MALFORMED, "expected a binary frame with one msgpack map, got a text frame")
        try:
            return _map(msgpack.unpackb(frame, strict_map_key=True))
        except (ValueError, msgpack.UnpackException, RecursionError) as error:
            raise ProtocolError(ErrorCode.MALFORMED, f"not msgpack: {str(error) or type(error).__name__}") from None


JSON: Final[Codec] = JsonCodec()
MSGPACK: Final[Codec] = MsgpackCodec()
CODECS: Final[Mapping[str, Codec]] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
"""Subprotocol -> codec."""


def _json(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(ErrorCode.MALFORMED, f"not JSON: {error}") from None


def _map(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(ErrorCode.MALFORMED, f"expected a map, got {type(value).__name__}")
    return value
