"""The ASGI application: routes, middleware, lifespan. Wires, decides nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, WebSocketRoute

from service.api import docs_pages, files, health, jobs, models, page
from service.dialects import DIALECTS
from service.errors import EXCEPTION_HANDLERS
from service.guard import Guard
from service.lifecycle import Lifecycle
from service.logs import RequestLog
from service.settings import Settings
from service.transports.websocket import websocket_endpoint
from service.wiring import wire

ROUTES: Final[tuple[BaseRoute, ...]] = (
    *jobs.ROUTES,
    *files.ROUTES,
    *models.ROUTES,
    *health.ROUTES,
    *docs_pages.ROUTES,
    WebSocketRoute("/v1/ws", websocket_endpoint),
    *(route for dialect in DIALECTS.values() for route in dialect.routes),
    *page.ROUTES,
)


def create_app(settings: Settings) -> Starlette:
    """Build the application of one server. Its lifespan opens the store and starts the engine.

    `app.state.services` holds its parts, `app.state.lifecycle` can drain it.
    """
    services = wire(settings)
    lifecycle = Lifecycle(services)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with lifecycle.running():
            yield

    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(RequestLog, metrics=services.metrics),
            Middleware(Guard, settings=settings, has_keys=lambda: services.keys.has_keys),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.lifecycle = lifecycle
    parts = [make(services) for dialect in DIALECTS.values() for make in dialect.parts]
    app.state.parts = {type(part): part for part in parts}
    return app
