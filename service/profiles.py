"""Profiles: whose wire format a listener speaks, and what a dialect gives a server to speak it.

A listener without a profile speaks all of them. Our own API answers on every listener.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute
from starlette.types import ExceptionHandler

if TYPE_CHECKING:  # wiring reads the settings, and they know the profiles
    from service.wiring import Services

P = TypeVar("P", bound="Part")

Environment: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""Reads the variables of a foreign service: settings of ours by name, only those that are given; never `listen`."""


class Profile(StrEnum):
    """The services whose clients a listener can serve; `service.dialects.DIALECTS` has those that are built."""

    IOPAINT = "iopaint"
    TEXT_REMOVAL = "text_removal"
    FOOOCUS_API = "fooocus_api"
    FOOOCUS_ENGINE = "fooocus_engine"
    SD_API = "sd_api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """What the original tells browsers of pages from elsewhere.

    Attributes:
        any_origin: a listener of this profile lets pages of every origin call the dialect (never our own API), unless
            `allowed_origins` names some. A listener without a profile asks `allowed_origins` alone.
        with_credentials: they may send cookies; an answer to a request with cookies names its origin.
        exposed_headers: of an answer, that a page may read.
    """

    any_origin: bool = True
    with_credentials: bool = True
    exposed_headers: tuple[str, ...] = ()


class Part(AbstractAsyncContextManager["Part", None]):
    """What a dialect keeps while a server runs: made once for a server, open from its start until its end.

    An endpoint finds it with `part_of`.
    """

    routes: Sequence[BaseRoute] = ()
    """Of its own, beside those of the dialect."""

    async def drain(self) -> None:
        """Close what would hold up the end: no job runs any more, and connections are closed next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One foreign API.

    Attributes:
        routes: HTTP and WebSocket routes. The first that matches answers; ours come before them where there is no
            profile, except at `/`.
        exception_handlers: as Starlette takes them, for whatever these routes raise (also `Exception`); and for paths
            below `prefixes` that nothing answers.
        headers: added to each answer of these routes that does not have them.
        cors: see there.
        middleware: around each of these routes, the first outermost.
        prefixes: the paths that are this dialect's, e.g. `/api/`: what is there is refused in its words, and open to
            browsers as its original is. Below `/v1/` only what our own API has not.
        parts: make what the dialect keeps while a server runs.
        environment: reads the foreign service's variables; asked only while a listener has this profile.
    """

    routes: Sequence[BaseRoute]
    exception_handlers: Mapping[int | type[Exception], ExceptionHandler] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cors: Cors = Cors()
    middleware: Sequence[Middleware] = ()
    prefixes: Sequence[str] = ("/api/",)
    parts: Sequence[Callable[["Services"], Part]] = ()
    environment: Environment | None = None


def part_of(connection: HTTPConnection, kind: type[P]) -> P:
    """The part of this kind of the server that a request or a socket came to."""
    parts: Mapping[type[Part], Part] = connection.app.state.parts
    found = parts[kind]
    assert isinstance(found, kind)
    return found
