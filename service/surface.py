"""What a listener answers: our own API, and the dialects of its profile or all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, ExceptionHandler, HTTPExceptionHandler, Message, Receive, Scope, Send

from service.errors import EXCEPTION_HANDLERS, http_exception_handler
from service.profiles import Dialect, Profile

_OWN_PREFIXES: Final = ("/v1", "/web")
_OURS: Final = {kind: handler for kind, handler in EXCEPTION_HANDLERS.items() if kind is not Exception}
"""For what a dialect has no words; a bug goes on to where it is logged."""


class DialectRoute(BaseRoute):
    """A route of a dialect: inside its middleware, with its headers, its errors in its words."""

    def __init__(self, route: BaseRoute, dialect: Dialect) -> None:
        self.route = route
        self.dialect = dialect
        self.app: ASGIApp = route.handle
        around = [
            Middleware(_ExtraHeaders, headers=dialect.headers),
            *dialect.middleware,
            Middleware(ExceptionMiddleware, handlers={**_OURS, **dialect.exception_handlers}),
        ]
        for factory, args, kwargs in reversed(around):
            self.app = factory(self.app, *args, **kwargs)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return self.route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Surface:
    """What one listener answers.

    Attributes:
        profile: of the listener.
        dialects: that answer here, the one that wins a collision first.
        own: routes of our own API.
        page: our own page for people at `/`, for when no dialect has one.
        collisions: routes that stand for those that two dialects have in common; for a listener without a profile.
        parts: routes of the parts of the dialects.
    """

    profile: Profile | None
    dialects: Mapping[Profile, Dialect]
    own: Sequence[BaseRoute]
    page: Sequence[BaseRoute]
    collisions: Sequence[BaseRoute] = ()
    parts: Mapping[Profile, Sequence[BaseRoute]] | None = None

    def routes(self) -> list[BaseRoute]:
        """In the order they are asked."""
        foreign = [
            DialectRoute(route, dialect)
            for profile, dialect in self.dialects.items()
            for route in (*(self.parts or {}).get(profile, ()), *dialect.routes)
        ]
        return [*self.own, *self.collisions, *foreign, *self.page]

    def exception_handlers(self) -> dict[int | type[Exception], ExceptionHandler]:
        """Ours, and for paths that nobody answers those of whose paths they are."""
        return {**EXCEPTION_HANDLERS, HTTPException: self._refuse}

    def owner(self) -> Callable[[str], Dialect | None]:
        """Tells whose a path is; None: ours."""
        own = {route.path for route in self.own if isinstance(route, Route)}
        dialects = tuple(self.dialects.values())
        profiled = self.profile is not None

        def owner(path: str) -> Dialect | None:
            if path in own:
                return None
            # Asked first: some originals have paths below /v1 too, none of them ours.
            named = next((dialect for dialect in dialects if path.startswith(tuple(dialect.prefixes))), None)
            if named is not None:
                return named
            if any(path == own_prefix or path.startswith(f"{own_prefix}/") for own_prefix in _OWN_PREFIXES):
                return None
            return dialects[0] if profiled else None

        return owner

    async def _refuse(self, request: Request, error: Exception) -> Response:
        dialect = self.owner()(request.url.path)
        handlers = dialect.exception_handlers if dialect is not None else {}
        assert isinstance(error, HTTPException)
        found = handlers.get(error.status_code) or handlers.get(HTTPException) or http_exception_handler
        answer = cast("HTTPExceptionHandler", found)(request, error)
        return answer if isinstance(answer, Response) else await answer


class _ExtraHeaders:
    """Adds headers to answers that do not have them."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if self._headers else send)
