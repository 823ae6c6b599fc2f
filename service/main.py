"""Runs a server until it is told to stop."""

import socket
from typing import Final

import uvicorn

from service.app import create_app
from service.data_folder import DataFolderInUse, DataFolderLock
from service.lifecycle import Lifecycle
from service.logs import configure
from service.settings import Settings
from service.transports.shared_frames import SharedFrameProtocol

_BACKLOG: Final = 2048
_LINGER_S: Final = 5


class Server(uvicorn.Server):
    """uvicorn, but jobs are handed back and viewers told before their connections are closed."""

    has_failed = False

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        lifecycle.on_failure = self._fail

    def _fail(self) -> None:
        """Half a server is worse than none: whoever watches over the process starts a whole one."""
        self.has_failed = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new is let in while the others are seen off
        await self._lifecycle.drain()
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """A server that is ready to run; `started` turns true once it answers."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=SharedFrameProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.heartbeat_s,
        ws_ping_timeout=settings.heartbeat_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_LINGER_S,
    )
    return Server(config, app.state.lifecycle)


def serve(settings: Settings) -> None:
    """Run a server until SIGINT or SIGTERM.

    Raises:
        SystemExit: it could not start, or a part of it failed.
    """
    configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with DataFolderLock(settings.data_dir):
            server = make_server(settings)
            server.run()
    except DataFolderInUse as error:
        raise SystemExit(f"error: {error}") from None
    if server.has_failed or not server.started:
        raise SystemExit(1)
