"""What speaks Socket.IO: `python-socketio`, with the settings of this server.

Whoever imports this loads its clients too, and the HTTP library of those: `service.dialects.iopaint.socketio` does so
in a thread, when the first client of Socket.IO comes.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import socketio
from starlette.types import ASGIApp

_PING_INTERVAL_S: Final = 25
_PING_TIMEOUT_S: Final = 20
_MAX_PAYLOAD_BYTES: Final = 1_000_000
_MISTAKES_OF_CLIENTS: Final = (
    "bad-version", "bad-transport", "bad-jsonp-index", "bad-upgrade", "bad-sid", "not-connected", "unexpected-http",
)  # fmt: skip
"""What Engine.IO would log as an error the first time it happens, under its names for them."""


class Speaker:
    """A server of Socket.IO (Engine.IO 4, long poll and WebSocket). Made and used on the event loop only.

    Args:
        path: of its endpoint.
        connect: hears of a client with its id, its environment and what it says of itself; raises a `refusal`.
        disconnect: hears of the end of one with its id and a reason.

    Attributes:
        app: answers requests and sockets below `path`.
        server: `socketio.AsyncServer`.
    """

    def __init__(
        self,
        path: str,
        *,
        connect: Callable[..., Awaitable[None]],
        disconnect: Callable[[str, str], Awaitable[None]],
    ) -> None:
        log = logging.getLogger("safelight.socketio")
        log.setLevel(logging.ERROR)  # below, it tells of every packet and what is in it
        self.server: Any = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=[],  # the guard has looked at the origin, and adds the headers
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            max_http_buffer_size=_MAX_PAYLOAD_BYTES,
            logger=log,
            engineio_logger=log,
        )
        self.server.eio.log_message_keys.update(_MISTAKES_OF_CLIENTS)
        self.server.on("connect", connect)
        self.server.on("disconnect", disconnect)
        self.app: ASGIApp = socketio.ASGIApp(self.server, socketio_path=path)

    @property
    def transports(self) -> Any:
        """Engine.IO id -> its transport; also of those that never said who they are."""
        return self.server.eio.sockets

    async def leave(self, transport: Any) -> None:
        """Close a transport alone: a client that the server disconnects in so many words does not come back."""
        await transport.close(wait=False, reason=self.server.reason.SERVER_DISCONNECT)

    def refusal(self, message: str) -> Exception:
        """What `connect` raises to let a client not in."""
        refused: Exception = socketio.exceptions.ConnectionRefusedError(message)
        return refused
