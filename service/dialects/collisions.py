"""Routes that two dialects have in common, on a listener that speaks both.

    GET /                    a browser gets a page, a client that asks for JSON what the text-removal service says there
    GET /api/v1/model        one body with the keys of both
    POST /api/v1/inpaint     IOPaint's, with the headers the text-removal service adds

IOPaint's answer is kept wherever the two contradict each other: its defaults, its content type, its errors (in which
the other's `detail` is). A listener with a profile has none of this.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.accept import prefers
from service.profiles import Dialect, Profile
from service.surface import DialectRoute

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_ROOT: Final = "/"
_MODEL: Final = "/api/v1/model"
_INPAINT: Final = "/api/v1/inpaint"


def collision_routes(dialects: Mapping[Profile, Dialect], page: Iterable[BaseRoute]) -> list[BaseRoute]:
    """The routes for a listener that speaks all `dialects`; none where fewer than two of them collide.

    Args:
        page: our own route of `/`, for when IOPaint's dialect has none.
    """
    iopaint, text_removal = dialects.get(Profile.IOPAINT), dialects.get(Profile.TEXT_REMOVAL)
    routes: list[BaseRoute] = []
    html = _find(iopaint, _ROOT, "GET") or next((route.handle for route in page), None)
    root = _find(text_removal, _ROOT, "GET")
    if html is not None and root is not None:
        routes.append(Route(_ROOT, _ByAccept(html=html, json=root), methods=["GET"]))
    first, second = _find(iopaint, _MODEL, "GET"), _find(text_removal, _MODEL, "GET")
    if first is not None and second is not None:
        routes.append(Route(_MODEL, _Union(first, second), methods=["GET"]))
    first, second = _find(iopaint, _INPAINT, "POST"), _find(text_removal, _INPAINT, "POST")
    if first is not None and second is not None:
        routes.append(Route(_INPAINT, _WithHeaders(first), methods=["POST"]))
    return routes


def _find(dialect: Dialect | None, path: str, method: str) -> ASGIApp | None:
    """What a dialect answers a request with, as its own listener would."""
    scope = {"type": "http", "path": path, "root_path": "", "method": method, "headers": [], "path_params": {}}
    for route in dialect.routes if dialect is not None else ():
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            assert dialect is not None
            return DialectRoute(route, dialect).handle
    return None


class _ByAccept:
    def __init__(self, *, html: ASGIApp, json: ASGIApp) -> None:
        self._html = html
        self._json = json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = Headers(scope=scope).get("accept")
        is_for_a_program = prefers(accept, _JSON) and not prefers(accept, _HTML)
        await (self._json if is_for_a_program else self._html)(scope, receive, send)


class _Union:
    """Both bodies in one; what only one of them says is there, what both say is the first's."""

    def __init__(self, first: ASGIApp, second: ASGIApp) -> None:
        self._first = first
        self._second = second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first, second = _Kept(), _Kept()
        await self._first(scope, receive, first)
        fields = first.fields()
        if fields is not None:
            await self._second(scope, receive, second)
            union: Response = JSONResponse((second.fields() or {}) | fields, first.status)
            await union(scope, receive, send)
            return
        for message in first.messages:
            await send(message)


class _Kept:
    """An answer that is not sent yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return next((int(message["status"]) for message in self.messages if "status" in message), 500)

    def fields(self) -> dict[str, Any] | None:
        """The JSON object it is; None if it is none, or an error."""
        if self.status != 200:
            return None
        try:
            body = orjson.loads(b"".join(message.get("body", b"") for message in self.messages))
        except orjson.JSONDecodeError:
            return None
        return body if isinstance(body, dict) else None


class _WithHeaders:
    """Adds what the text-removal service says with a picture."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Disposition", "inline; filename=inpainted.png")
                headers.setdefault("X-Processing-Time", f"{time.perf_counter() - started_at:.3f}")
                headers.setdefault("X-Timestamp", datetime.now().isoformat())  # of no zone, as the original
            await send(message)

        await self._app(scope, receive, with_headers)
