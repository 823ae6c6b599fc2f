"""Which Socket.IO connection belongs to whoever sends a request: nobody sees the progress of somebody else's work.

The original tells everybody of everything. Its front end says nothing in its requests that is also said by its socket,
but a browser sends cookies with both: so its page and its configuration come with one (`COOKIE`), a random name that
gives no rights. In order:

1. A request that names a connection (`X-Socket-Id`, for programs) is told of there.
2. A request with the cookie is told of on every connection with the same cookie.
3. Otherwise, and if exactly one connection without a cookie comes from the same address and does not say that it is
   another program or page, that one is meant: a script, or a browser that keeps no cookies. With several it is
   nobody, rather than the wrong one.

Whatever the rule, both must have shown the same API key.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import Final, Self

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "safelight_viewer"
SOCKET_HEADER: Final = "x-socket-id"
_TOKEN_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[\w-]{22,64}", re.ASCII)
_BROWSER: Final = "Mozilla/"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request or a connection shows of who it is.

    Attributes:
        key_id: of the API key it came with.
        token: in the cookie; None without one.
        address: of the client, or of the proxy before it.
        names: the connection it names.
    """

    key_id: str
    token: str | None = None
    address: str | None = None
    agent: str = ""
    origin: str = ""
    names: str | None = None

    @classmethod
    def of(cls, scope: Scope, key_id: str) -> Self:
        """Read it from an ASGI scope."""
        headers, client = Headers(scope=scope), scope.get("client")
        return cls(
            key_id,
            token_of(headers),
            client[0] if client else None,
            headers.get("user-agent", ""),
            headers.get("origin", ""),
            headers.get(SOCKET_HEADER),
        )

    def may_be(self, other: "Caller") -> bool:
        """Whether nothing speaks against the two being one program."""
        are_pages = self.agent.startswith(_BROWSER) or other.agent.startswith(_BROWSER)
        return (
            self.address == other.address
            and (self.origin == other.origin or not (self.origin and other.origin))
            and (self.agent == other.agent or not are_pages)
        )


class Viewers:
    """The open connections of one server."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def add(self, connection: str, caller: Caller) -> None:
        self._callers[connection] = caller

    def remove(self, connection: str) -> None:
        self._callers.pop(connection, None)

    def recognise(self, connection: str, token: str) -> None:
        """A connection that had no cookie when it was opened has shown one since."""
        viewer = self._callers.get(connection)
        if viewer is not None and viewer.token is None:
            self._callers[connection] = replace(viewer, token=token)

    def tied(self, caller: Caller) -> frozenset[str]:
        """The connections that have shown that they are the caller's."""
        return frozenset(
            connection
            for connection, viewer in self._callers.items()
            if viewer.key_id == caller.key_id
            and (connection == caller.names or (caller.token is not None and viewer.token == caller.token))
        )

    def guessed(self, caller: Caller) -> frozenset[str]:
        """The connection without a cookie that must be the caller's, as there is no other it could be."""
        if caller.names is not None:
            return frozenset()
        found = [
            connection
            for connection, viewer in self._callers.items()
            if viewer.token is None and viewer.key_id == caller.key_id and viewer.may_be(caller)
        ]
        return frozenset(found) if len(found) == 1 else frozenset()


class ViewerCookie:
    """ASGI middleware: gives browsers the cookie with answers to GET requests of some paths."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in self._paths
        if not is_asked or token_of(Headers(scope=scope)) is not None:
            await self._app(scope, receive, send)
            return

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                secure = "; Secure" if scope["scheme"] == "https" else ""
                token = secrets.token_urlsafe(_TOKEN_BYTES)
                headers.append("set-cookie", f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}")
            await send(message)

        await self._app(scope, receive, with_cookie)


def token_of(headers: Headers) -> str | None:
    """The token in the cookies of a request; None if there is none that could be ours."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None and _TOKEN.fullmatch(morsel.value) else None
