"""Keeps web pages of foreign origins, and machines that were not asked, away from the server.

A browser lets any page send requests to `localhost`, and a page can point its own name at 127.0.0.1. So before
anything else is looked at, a server without keys wants a caller on its own machine, a `Host` that is its own, and
an `Origin` that is its own machine's or none. A server with keys has nothing a page could ride on (its only cookie
says whose progress a browser sees): there foreign pages only get no CORS headers.

A listener with a profile may open the paths of its dialect, and no others, to the pages of every origin, as the
original does. The CORS headers on the paths of a dialect are the original's.

Source of the CORS headers: the Fetch standard, section 3.2.
"""

import ipaddress
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from protocol.errors import ErrorCode, ProtocolError
from service.errors import problem_response
from service.profiles import Cors
from service.settings import Settings

_ANY: Final = "*"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_WILDCARD_HOSTS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, not listened on
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ALLOWED_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED_HEADERS: Final = b"Location, Retry-After, ETag, Content-Disposition, Preference-Applied, Link"
_PREFLIGHT_AGE_S: Final = b"600"
_POLICY_CLOSE: Final = 1008


class Authority(NamedTuple):
    """Host name (lower case, no brackets) and port of a `Host` header or an origin; None: the default port."""

    host: str
    port: int | None


class ForeignPaths(NamedTuple):
    """The paths of dialects on one listener.

    Attributes:
        cors: of the dialect whose path it is; None for a path of ours.
        has_profile: the listener is one dialect's: `Cors.any_origin` counts.
    """

    cors: Callable[[str], Cors | None]
    has_profile: bool = False


class Guard:
    """ASGI middleware of one listener; the outermost one.

    Args:
        settings: `host`, `allowed_hosts`, `allowed_origins` and `allow_anonymous` are read.
        has_keys: whether callers need a key; asked on every request.
        bound_hosts: where it listens; `settings.host` if it is empty.
        foreign: which of its paths are a dialect's.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        has_keys: Callable[[], bool],
        bound_hosts: Collection[str] = (),
        foreign: ForeignPaths | None = None,
    ) -> None:
        self._app = app
        self._foreign = foreign
        self._cors_apps: dict[tuple[Cors, bool], ASGIApp] = {}
        self._has_keys = has_keys
        self._allow_anonymous = settings.allow_anonymous
        self._any_host = _ANY in settings.allowed_hosts
        self._checks_host = bool(settings.allowed_hosts)
        own = {_bare(host) for host in bound_hosts or (settings.host,)} - _WILDCARD_HOSTS
        self._hosts = frozenset(own | {_bare(host) for host in settings.allowed_hosts})
        self._any_origin = _ANY in settings.allowed_origins
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        cors = self._foreign.cors(scope["path"]) if self._foreign is not None else None
        any_origin = self._any_origin or (cors is not None and self._opens(cors))
        try:
            host = self._check_host(headers)
            allowed = origin is None or any_origin or self._is_allowed(origin, host)
            if not self._has_keys():
                self._check_keyless(scope, headers, origin, allowed=allowed, any_origin=any_origin)
            is_preflight = (
                scope["type"] == "http"
                and scope["method"] == "OPTIONS"
                and origin is not None
                and "access-control-request-method" in headers
            )
            if is_preflight and not allowed:
                raise _foreign_origin()
        except ProtocolError as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif cors is not None:
            app = self._with_dialect_cors(cors, any_origin=any_origin) if allowed else self._app
            await app(scope, receive, send)
        elif is_preflight:
            await self._preflight(headers)(scope, receive, self._with_cors(send, origin))
        else:
            await self._app(scope, receive, self._with_cors(send, origin if allowed else None))

    def _check_host(self, headers: Headers) -> Authority | None:
        given = headers.getlist("host")
        host = _authority(given[0]) if len(given) == 1 else None
        if self._any_host or (self._has_keys() and not self._checks_host):
            return host
        if host is not None and (host.host in self._hosts or _is_loopback(host.host)):
            return host
        # A page can point its name anywhere, but not an address: whoever says an address means this machine.
        if host is not None and self._allow_anonymous and not self._checks_host and _is_address(host.host):
            return host
        raise ProtocolError(
            ErrorCode.UNKNOWN_HOST,
            "Host: this server does not answer to that name; add it to allowed_hosts if it should",
        )

    def _check_keyless(
        self, scope: Scope, headers: Headers, origin: str | None, *, allowed: bool, any_origin: bool
    ) -> None:
        client = scope.get("client")
        # No address at all: a Unix socket.
        if client is not None and not self._allow_anonymous and not _is_loopback(client[0]):
            raise ProtocolError(
                ErrorCode.FORBIDDEN,
                "this server has no API keys and serves its own machine only; add a key, or set allow_anonymous",
            )
        if not allowed:
            raise _foreign_origin()
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if origin is None and changes and not any_origin and headers.get("sec-fetch-site") == "cross-site":
            raise _foreign_origin()

    def _is_allowed(self, origin: str, host: Authority | None) -> bool:
        if origin.lower() in self._origins:
            return True
        place = _origin_authority(origin)
        return place is not None and (place == host or _is_loopback(place.host))

    def _opens(self, cors: Cors) -> bool:
        """Whether every page may call the paths of a dialect: its profile says so, and no setting says who may."""
        return cors.any_origin and not self._origins and self._foreign is not None and self._foreign.has_profile

    def _with_dialect_cors(self, cors: Cors, *, any_origin: bool) -> ASGIApp:
        """The application, with the CORS headers of an original: for origins that are allowed."""
        app = self._cors_apps.get((cors, any_origin))
        if app is None:
            app = self._cors_apps[cors, any_origin] = CORSMiddleware(
                self._app,
                allow_origins=[_ANY] if any_origin else [],
                allow_origin_regex=None if any_origin else ".*",
                allow_methods=[_ANY],
                allow_headers=[_ANY],
                allow_credentials=cors.with_credentials,
                expose_headers=cors.exposed_headers,
                allow_private_network=True,
            )
        return app

    def _preflight(self, headers: Headers) -> Response:
        response = Response(status_code=204)
        response.raw_headers += [
            (b"access-control-allow-methods", _ALLOWED_METHODS),
            (b"access-control-allow-headers", headers.get("access-control-request-headers", "").encode("latin-1")),
            (b"access-control-max-age", _PREFLIGHT_AGE_S),
        ]
        if headers.get("access-control-request-private-network") == "true":
            response.raw_headers.append((b"access-control-allow-private-network", b"true"))
        return response

    def _with_cors(self, send: Send, origin: str | None) -> Send:
        """Adds what an allowed origin needs to read the answer; `Vary` always, for caches between."""
        if self._any_origin:
            added = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED_HEADERS)]
        else:
            added = [(b"vary", b"Origin")]
            if origin is not None:
                added += [
                    (b"access-control-allow-origin", origin.encode("latin-1")),
                    (b"access-control-expose-headers", _EXPOSED_HEADERS),
                ]

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        return send_with_cors


async def _refuse(error: ProtocolError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _POLICY_CLOSE, "reason": error.code.value})
        return
    await problem_response(error)(scope, receive, send)


def _foreign_origin() -> ProtocolError:
    return ProtocolError(
        ErrorCode.FOREIGN_ORIGIN,
        "Origin: pages of that origin may not call this server; add it to allowed_origins if they should",
    )


def _bare(host: str) -> str:
    authority = _authority(host) or _authority(f"[{host}]")
    return authority.host if authority is not None else host.lower()


@lru_cache(1024)
def _authority(text: str) -> Authority | None:
    """Read `host`, `host:port` or `[address]:port`; None if it is nothing of these."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc != text or parts.username is not None or not parts.hostname:
            return None
        return Authority(parts.hostname.removesuffix("."), parts.port)
    except ValueError:
        return None


@lru_cache(1024)
def _origin_authority(origin: str) -> Authority | None:
    """Read `scheme://host[:port]`; None for `null` and whatever else. A default port reads as none."""
    scheme, separator, rest = origin.partition("://")
    authority = _authority(rest) if separator else None
    if authority is None or scheme not in _DEFAULT_PORTS:
        return None
    return authority._replace(port=None) if authority.port == _DEFAULT_PORTS[scheme] else authority


@lru_cache(1024)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
