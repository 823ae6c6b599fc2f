"""Runs a server, at one or several places, until it is told to stop."""

import asyncio
import gc
import socket
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, cast

import structlog
import uvicorn
from starlette.applications import Starlette

from service.app import create_apps
from service.data_folder import DataFolderInUse, DataFolderLock
from service.gateway_wiring import gateway
from service.lifecycle import Lifecycle
from service.listeners import Listener, ListenFailed, open_listeners
from service.logs import configure
from service.profiles import Part
from service.settings import Settings, SettingsError
from service.transports.shared_frames import SharedFrameProtocol
from service.wiring import Services

logger = structlog.get_logger(__name__)

_BACKLOG: Final = 2048
_LINGER_S: Final = 5
_NOT_STARTED: Final = 3


class Server(uvicorn.Server):
    """uvicorn at several places at once, each with an application of its own.

    Jobs are handed back and viewers told before their connections are closed, at all of them.

    Args:
        configs: one for each of `settings.places`, in their order; the first one's application has the lifespan.
        parts: of the dialects.
    """

    has_failed = False

    def __init__(
        self,
        settings: Settings,
        configs: Sequence[uvicorn.Config],
        lifecycle: Lifecycle,
        parts: Collection[Part] = (),
    ) -> None:
        super().__init__(configs[0])
        self.servers = []
        self.listeners: list[Listener] = []
        """Where it listens, in the order of `settings.places`; filled once it runs."""
        self._settings = settings
        self._configs = configs
        self._lifecycle = lifecycle
        self._parts = parts
        lifecycle.on_failure = self._fail

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Run until told to stop.

        Raises:
            ListenFailed: it cannot listen at one of its places; nothing has been started.
            SystemExit: a part of it could not be started.
        """
        self.listeners = open_listeners(self._settings.places)
        try:
            await super().serve(sockets)
        finally:
            for listener in self.listeners:
                listener.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - its own are used
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(_NOT_STARTED)
        loop = asyncio.get_running_loop()
        for listener, config in zip(self.listeners, self._configs, strict=True):
            if not config.loaded:
                config.load()
            protocol: Callable[[], asyncio.Protocol] = partial(
                cast("Callable[..., asyncio.Protocol]", config.http_protocol_class),
                config=config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            for opened in listener.sockets:
                server = await loop.create_server(protocol, sock=opened, backlog=_BACKLOG)
                self.servers.append(server)
            logger.info("server.listening", at=str(listener.listen), profile=listener.listen.profile or "all")
        self.started = True

    def _fail(self) -> None:
        """Half a server is worse than none: whoever watches over the process starts a whole one."""
        self.has_failed = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new is let in while the others are seen off
        await self._lifecycle.drain()
        for part in self._parts:
            await part.drain()
        await super().shutdown(sockets)


def make_server(
    settings: Settings, on_ready: Callable[[], None] = lambda: None, *, services: Services | None = None
) -> Server:
    """A server that is ready to run; `started` turns true once it answers.

    Args:
        on_ready: called on the event loop once the engine is loaded.
        services: of a gateway; by default those of a server that is everything in one.

    Raises:
        ListenFailed: a listener has a profile that is not built.
    """
    apps = create_apps(settings, services)
    state = apps[0].state
    state.lifecycle.on_ready = on_ready
    return Server(settings, [_config(settings, app) for app in apps], state.lifecycle, state.parts.values())


def _config(settings: Settings, app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws=SharedFrameProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.heartbeat_s,
        ws_ping_timeout=settings.heartbeat_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LINGER_S,
    )


def serve(settings: Settings) -> None:
    """Run a server until SIGINT or SIGTERM.

    Raises:
        SystemExit: it could not start, or a part of it failed.
    """
    configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with DataFolderLock(settings.data_dir):
            # A full collection of garbage looks at all there is, and everybody waits: 50 ms with our own modules, nine
            # times that with torch and diffusers. The process is ours, and what it has loaded stays to its end.
            server = make_server(settings, on_ready=gc.freeze)
            server.run()
    except (DataFolderInUse, ListenFailed) as error:
        raise SystemExit(f"error: {error}") from None
    if server.has_failed or not server.started:
        raise SystemExit(1)


def serve_gateway(settings: Settings) -> None:
    """Run the gateway of a cluster until SIGINT or SIGTERM.

    Raises:
        SystemExit: it could not start, or a part of it failed.
    """
    configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    servers: list[Server] = []

    async def run() -> None:
        async with gateway(settings) as services:
            server = make_server(services.settings, gc.freeze, services=services)
            servers.append(server)
            await server.serve()

    try:
        with DataFolderLock(settings.data_dir), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run())
    except (DataFolderInUse, ListenFailed, SettingsError) as error:
        raise SystemExit(f"error: {error}") from None
    if any(server.has_failed or not server.started for server in servers):
        raise SystemExit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop uvicorn would run on."""
    return uvicorn.Config("").get_loop_factory()
