"""Reading a request of our own API: who it is from, what its query and its body say."""

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request

from protocol.errors import ErrorCode, ProtocolError
from service.auth import Key, Scope, secret_from_headers
from service.wiring import Services

E = TypeVar("E", bound=StrEnum)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def caller(request: Request, scope: Scope) -> Key:
    """The key of a request.

    Raises:
        ProtocolError: `unauthorized` without a known key, `forbidden` if it lacks `scope`.
    """
    services = services_of(request)
    header = services.settings.api.key_header
    secret = secret_from_headers(request.headers, header)
    key = await services.keys.find(secret)
    if key is None:
        what = "this API key is not known" if secret else f"an API key is needed: {header}, or Authorization: Bearer"
        raise ProtocolError(ErrorCode.UNAUTHORIZED, what)
    key.require(scope)
    request.state.key_id = key.id
    return key


async def json_body(request: Request) -> object:
    """The body, decoded.

    Raises:
        ProtocolError: `unsupported_media_type`, `too_large`, or `malformed`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"content-type: expected application/json, got {media_type or 'none'!r:.60}"
        raise ProtocolError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, message)
    body = bytearray()
    async for chunk in body_chunks(request, services_of(request).settings.max_body_bytes):
        body += chunk
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(ErrorCode.MALFORMED, f"body: not JSON: {error}") from None


async def body_chunks(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Raises:
        ProtocolError: `too_large` as soon as it is, by its announced length if it has one; `malformed` if the client
            goes away in the middle.
    """
    size = 0
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            yield chunk
    except ClientDisconnect:
        raise ProtocolError(ErrorCode.MALFORMED, "body: the connection ended in the middle of it") from None


def whole_number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A whole number in the query.

    Raises:
        ProtocolError: `invalid_params`, naming the range.
    """
    text = request.query_params.get(name)
    return default if text is None else number_in(text, name, least=least, most=most)


def number_in(text: str, name: str, *, least: int, most: int) -> int:
    """Read a whole number.

    Args:
        name: of the query parameter or header it stands in.

    Raises:
        ProtocolError: `invalid_params`, naming the range.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or not least <= int(text) <= most:
        raise ProtocolError(
            ErrorCode.INVALID_PARAMS, f"{name}: expected {least}..{most}, got {text!r:.60}", f"$.{name}"
        )
    return int(text)


def seconds(text: str | None, name: str, *, most: float) -> float:
    """A number of seconds, 0 if it is not given; more than `most` is `most`.

    Raises:
        ProtocolError: `invalid_params`: it is no number, or negative.
    """
    if text is None:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        message = f"{name}: expected a number of seconds, 0 or more, got {text!r:.60}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, f"$.{name}")
    return min(value, most)


def choice(request: Request, name: str, kind: type[E]) -> E | None:
    """One of a closed set, in the query.

    Raises:
        ProtocolError: `invalid_params`, naming the set.
    """
    text = request.query_params.get(name)
    return None if text is None else _one_of(text, name, kind)


def choices(request: Request, name: str, kind: type[E]) -> tuple[E, ...]:
    """Some of a closed set, in the query: repeated, or with commas; none if it is not there.

    Raises:
        ProtocolError: `invalid_params`, naming the set.
    """
    texts = [part for text in request.query_params.getlist(name) for part in text.split(",")]
    return tuple(dict.fromkeys(_one_of(text, name, kind) for text in texts))


def _one_of(text: str, name: str, kind: type[E]) -> E:
    try:
        return kind(text)
    except ValueError:
        message = f"{name}: expected one of {', '.join(kind)}, got {text!r:.60}"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, f"$.{name}") from None


def _too_large(max_bytes: int) -> ProtocolError:
    return ProtocolError(ErrorCode.TOO_LARGE, f"body: larger than the allowed {max_bytes} bytes")
