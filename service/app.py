"""The ASGI applications, one for each listener: routes, middleware, lifespan. Wires, decides nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, WebSocketRoute

from service.api import (
    archives,
    docs_pages,
    files,
    health,
    jobs,
    models,
    page,
    presets,
    recipes,
    server,
    styles,
    uploads,
)
from service.dialects import DIALECTS
from service.dialects.collisions import collision_routes
from service.guard import ForeignPaths, Guard
from service.lifecycle import Lifecycle
from service.listeners import Listen, ListenFailed
from service.logs import RequestLog
from service.profiles import Cors, Part, Profile
from service.settings import Settings
from service.surface import Surface
from service.transports.websocket import websocket_endpoint
from service.wiring import Services, wire

logger = structlog.get_logger(__name__)

ROUTES: Final[tuple[BaseRoute, ...]] = (
    *jobs.ROUTES,
    *files.ROUTES,
    *archives.ROUTES,
    *uploads.ROUTES,
    *models.ROUTES,
    *styles.ROUTES,
    *recipes.ROUTES,
    *presets.ROUTES,
    *server.ROUTES,
    *health.ROUTES,
    *docs_pages.ROUTES,
    WebSocketRoute("/v1/ws", websocket_endpoint),
)
"""Of our own API; beside them there is the page at `/`."""


def create_apps(settings: Settings, services: Services | None = None) -> list[Starlette]:
    """Build the applications of one server, one for each of `settings.places`. Nothing runs yet.

    They share one set of services. The lifespan of the first opens the store and starts the engine, for all of them.
    Args:
        services: of a gateway; by default those of a server that is everything in one.

    `app.state.services` holds the parts of the server, `app.state.parts` those of its dialects, and
    `app.state.lifecycle` can drain it.

    Raises:
        ListenFailed: a listener has a profile that is not built.
    """
    for place in settings.places:
        if place.profile is not None and place.profile not in DIALECTS:
            built = ", ".join(DIALECTS) or "none"
            raise ListenFailed(f"cannot listen at {place}: there is no dialect {place.profile} yet, but: {built}")
    services = services or wire(settings)
    lifecycle = Lifecycle(services)
    parts = {profile: [make(services) for make in dialect.parts] for profile, dialect in DIALECTS.items()}

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with lifecycle.running(), AsyncExitStack() as stack:
            for part in (part for made in parts.values() for part in made):
                await stack.enter_async_context(part)
            _tell_of_pages(settings, services)
            yield

    apps = [_app(place, services, parts) for place in settings.places]
    apps[0].router.lifespan_context = lifespan
    for app in apps:
        app.state.services = services
        app.state.lifecycle = lifecycle
        app.state.parts = {type(part): part for made in parts.values() for part in made}
    return apps


def _tell_of_pages(settings: Settings, services: Services) -> None:
    """Say so if every page that somebody visits may use this server."""
    for place in settings.places:
        dialect = DIALECTS.get(place.profile) if place.profile is not None else None
        if (
            dialect is not None
            and dialect.cors.any_origin
            and not settings.allowed_origins
            and not services.keys.has_keys
        ):
            logger.warning("listener.open_to_pages", at=str(place), profile=place.profile)


def _app(place: Listen, services: Services, parts: Mapping[Profile, list[Part]]) -> Starlette:
    """What one listener serves."""
    surface = Surface(
        profile=place.profile,
        dialects=DIALECTS if place.profile is None else {place.profile: DIALECTS[place.profile]},
        own=ROUTES,
        page=page.ROUTES,
        collisions=() if place.profile is not None else collision_routes(DIALECTS, page.ROUTES),
        parts={profile: [route for part in made for route in part.routes] for profile, made in parts.items()},
    )
    owner = surface.owner()

    def cors(path: str) -> Cors | None:
        dialect = owner(path)
        return dialect.cors if dialect is not None else None

    return Starlette(
        routes=surface.routes(),
        middleware=[
            Middleware(RequestLog, metrics=services.metrics),
            Middleware(
                Guard,
                settings=services.settings,
                has_keys=lambda: services.keys.has_keys,
                bound_hosts=[place.host or ""],
                foreign=ForeignPaths(cors, has_profile=place.profile is not None),
            ),
        ],
        exception_handlers=surface.exception_handlers(),
    )
