"""IOPaint's Socket.IO at `/socket.io/`: `diffusion_progress` for each step of a job, `diffusion_finish` after it.

`python-socketio` speaks the protocol (Engine.IO 4, long poll and WebSocket); this says who may connect and who hears
of what. `service.dialects.iopaint.viewers` has the rule by which a browser hears of its own work only.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import socketio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, JobQueued, JobRequeued, StepFinished
from protocol.requests import TaskName
from service.auth import Key, secret_from_headers
from service.auth import Scope as KeyScope
from service.dialects.iopaint.viewers import Caller, Viewers
from service.profiles import Part, part_of
from service.wiring import Services

PATH: Final = "/socket.io"
_PING_INTERVAL_S: Final = 25
_PING_TIMEOUT_S: Final = 20
_MAX_PAYLOAD_BYTES: Final = 1_000_000
_MOST_UNSENT: Final = 512
_DENOISING: Final = frozenset({TaskName.INPAINT, TaskName.OUTPAINT, TaskName.TEXT_TO_IMAGE, TaskName.IMAGE_TO_IMAGE})
_DENOISING_STAGES: Final = frozenset({None, "denoise"})
_REVOKED: Final = 4401
_MISTAKES_OF_CLIENTS: Final = (
    "bad-version", "bad-transport", "bad-jsonp-index", "bad-upgrade", "bad-sid", "not-connected", "unexpected-http",
)  # fmt: skip
"""What Engine.IO would log as an error the first time it happens, under its names for them."""


class Progress(Protocol):
    """Tells whoever sent a request how its job comes along."""

    async def on_event(self, event: Event) -> None:
        """Hear an event of the job; `Desk.run(on_event=...)` calls it."""
        ...

    async def finish(self) -> None:
        """The job has succeeded, and its answer is about to be sent."""
        ...


class SocketIo(Part):
    """The connections of one server. For the event loop only."""

    def __init__(self, services: Services) -> None:
        log = logging.getLogger("safelight.socketio")
        log.setLevel(logging.ERROR)  # below, it tells of every packet and what is in it
        self._services = services
        self._viewers = Viewers()
        self._connections: dict[str, _Connection] = {}
        self._tokens: dict[str, str] = {}
        """Cookies that were shown after a connection had been opened, by its Engine.IO id."""
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=[],  # the guard has looked at the origin, and adds the headers
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            max_http_buffer_size=_MAX_PAYLOAD_BYTES,
            logger=log,
            engineio_logger=log,
        )
        self._server.eio.log_message_keys.update(_MISTAKES_OF_CLIENTS)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._app = socketio.ASGIApp(self._server, socketio_path=PATH)
        self.routes = (Mount(PATH, app=self._serve),)

    @classmethod
    def of(cls, request: Request) -> "SocketIo":
        """That of the server a request came to."""
        return part_of(request, cls)

    def progress(self, request: Request, key: Key) -> Progress:
        """For the job of one request; costs next to nothing where nobody is connected."""
        return _Progress(self._server, self._viewers, Caller.of(request.scope, key.id))

    async def __aexit__(self, *_: object) -> None:
        for connection in tuple(self._connections.values()):
            await connection.close(0, "")
        await self._server.shutdown()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        """
        Raises:
            ConnectionRefusedError: the server has keys, and none of them was shown.
        """
        scope: Scope = environ["asgi.scope"]
        secret = secret_from_headers(Headers(scope=scope), self._services.settings.api.key_header)
        if secret is None and isinstance(auth, dict) and isinstance(auth.get("key"), str):
            secret = auth["key"]
        key = await self._services.keys.find(secret)
        if key is None:
            raise socketio.exceptions.ConnectionRefusedError("an API key is needed")
        try:
            key.require(KeyScope.JOBS_READ)
        except ProtocolError as error:
            raise socketio.exceptions.ConnectionRefusedError(error.message) from None
        connection = _Connection(self._server, sid, secret, self._services)
        self._connections[sid] = connection
        self._services.sockets.add(connection)
        self._viewers.add(sid, Caller.of(scope, key.id))

    async def _disconnect(self, sid: str, _reason: str) -> None:
        self._viewers.remove(sid)
        connection = self._connections.pop(sid, None)
        if connection is not None:
            self._services.sockets.discard(connection)
