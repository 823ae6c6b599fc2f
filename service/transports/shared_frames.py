"""WebSocket frames that are built once and handed to every socket.

ASGI's `send` frames, and may compress, each message for each socket again. This subclass of uvicorn's sans-I/O protocol
lets the endpoint write finished frames to the transport itself, look at how much of them is still unsent, and hear when
there is room again. Compression is off: a compressed frame cannot be shared. Where the server runs under another
protocol class, the endpoint finds no `EXTENSION` in its scope and sends by ASGI instead.

Source of the frame layout: RFC 6455, section 5.2 (frames from a server are not masked).
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from protocol.codec import Codec
from protocol.events import Event

EXTENSION: Final = "safelight.shared_frames"
_FIN_TEXT: Final = 0x81
_FIN_BINARY: Final = 0x82
_NOT_UTF8: Final = 1007
_ABORT_AFTER_S: Final = 5.0


def frame(payload: bytes, *, is_binary: bool) -> bytes:
    """One whole, unmasked WebSocket frame."""
    first, size = _FIN_BINARY if is_binary else _FIN_TEXT, len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def form(codec: Codec) -> str:
    """Under which name the frame of an event is kept in `event.frames`."""
    return f"ws+{codec.name}"


def event_frame(event: Event, codec: Codec) -> bytes:
    """The frame of an event; built once per event and codec, and kept in `event.frames`."""
    name = form(codec)
    built = event.frames.get(name)
    if built is None:
        built = event.frames[name] = frame(codec.event_frame(event), is_binary=codec.is_binary(event))
    return built


class SharedFrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with a door for finished frames: `scope["extensions"][EXTENSION]`.

    They go to `transport.write`, as they are. For the event loop only.
    """

    on_writable: Callable[[], None] | None = None
    is_congested = False
    """More is unsent than `hold_above` said."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the handshake was well formed; the application has not run yet
            self.scope["extensions"][EXTENSION] = {"protocol": self}

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # refused is complete, too: else uvicorn logs an error of ours

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            # uvicorn would close it too, but log every client's rubbish as an error with a traceback.
            self.frames = []
            self.conn.send_close(_NOT_UTF8, "a text frame must be UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def hold_above(self, unsent_bytes: int, on_writable: Callable[[], None]) -> None:
        """Say `is_congested` while more than this is unsent, and call `on_writable` each time that is over."""
        self.is_congested = False  # of its own: looking it up on the class takes longer
        self.transport.set_write_buffer_limits(high=unsent_bytes)
        self.on_writable = on_writable

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_congested = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_congested = False
        if self.on_writable is not None:
            self.on_writable()

    @property
    def is_open(self) -> bool:
        return not (self.disconnected or self.close_sent or self.transport.is_closing())

    @property
    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def cut_off(self, code: int, reason: str) -> None:
        """Close a socket whose reader is too slow: what it will still read ends with a close frame, then the
        connection is dropped, read or not."""
        if not self.is_open:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.loop.call_later(_ABORT_AFTER_S, self._abort)

    def _abort(self) -> None:
        if not self.disconnected:
            self.transport.abort()


def _is_utf8(parts: Sequence[bytes]) -> bool:
    try:
        b"".join(parts).decode()
    except UnicodeDecodeError:
        return False
    return True
