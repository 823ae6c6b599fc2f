"""Outlets of a WebSocket: finished frames where the protocol allows it, ASGI messages where not."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from protocol.codec import Codec
from protocol.events import Event
from service.cork import Cork
from service.outlet import BufferedOutlet, Coalescing, Lagging
from service.transports.shared_frames import SharedFrameProtocol, event_frame, form, frame

LAGGING: Final = 4408
_MOST_HELD: Final = 16
_REASON: Final = "the client reads too slowly; reconnect and resume"


class DirectOutlet:
    """Writes shared frames straight to the transport.

    Hints are held back, the newest of each job and type, while more than `soft_bytes` are unsent; a socket with more
    than `hard_bytes` unsent is cut off.
    """

    # A thousand viewers are more than fits the processor's cache: what telling one touches lies close together.
    __slots__ = (
        "_codec", "_cork", "_form", "_hard_bytes", "_held", "_hints", "_last", "_on_lagging", "_protocol", "_transport",
        "_writable",
    )  # fmt: skip

    def __init__(
        self,
        protocol: SharedFrameProtocol,
        codec: Codec,
        cork: Cork,
        *,
        soft_bytes: int,
        hard_bytes: int,
        on_lagging: Callable[[], None],
    ) -> None:
        self._protocol = protocol
        self._codec = codec
        self._form = form(codec)
        self._hard_bytes = hard_bytes
        self._on_lagging = on_lagging
        self._hints = Coalescing()
        self._last: Event | None = None
        self._writable = asyncio.Event()
        protocol.hold_above(soft_bytes, self._resume)
        self._transport = protocol.transport
        self._cork = cork
        self._held: list[bytes] = []

    def offer(self, event: Event) -> None:
        # Runs once for every event and viewer, so it looks at plain attributes and nothing else.
        # The bus offers one event to all subscriptions in a row: two of them may end in this socket.
        if event is self._last:
            return
        self._last = event
        protocol = self._protocol
        if protocol.is_congested or protocol.close_sent or protocol.disconnected:
            self._offer_congested(event)
            return
        built = event.frames.get(self._form) or event_frame(event, self._codec)
        if self._cork.is_in:
            self._hold(built)
        else:
            self._transport.write(built)

    def _write(self, built: bytes) -> None:
        if self._cork.is_in:
            self._hold(built)
        else:
            self._transport.write(built)

    def _hold(self, built: bytes) -> None:
        if not self._held:
            self._cork.holding.append(self)
        self._held.append(built)
        if len(self._held) >= _MOST_HELD:  # what is unsent must be known now and then
            self.flush()

    def flush(self) -> None:
        """Write what was held back while the cork was in."""
        held, self._held = self._held, []
        if held and self._protocol.is_open:
            self._transport.writelines(held)

    def _offer_congested(self, event: Event) -> None:
        if not self._protocol.is_open:
            return
        if not event.is_fact:
            self._hints.put(event)
            return
        self._hints.outdate(event)
        if self._protocol.unsent_bytes > self._hard_bytes:
            self._on_lagging()
            self.flush()
            self._protocol.cut_off(LAGGING, _REASON)
        else:
            self._write(event_frame(event, self._codec))

    async def reply(self, content: bytes) -> None:
        """Send the answer to a message once there is room for it; to a socket that has closed, not at all."""
        await self._protocol.writable.wait()
        if self._protocol.is_open:
            self._write(frame(content, is_binary=self._codec.messages_are_binary))

    async def room(self) -> None:
        while self._protocol.is_open and self._protocol.is_congested:
            self._writable.clear()
            await self._writable.wait()

    async def serve(self) -> None:
        """Nothing to do: `offer` has written everything."""

    def close(self) -> None:
        self._protocol.on_writable = None
        self._writable.set()

    def __len__(self) -> int:
        return len(self._hints)

    def _resume(self) -> None:
        self._writable.set()
        if self._protocol.is_open:
            for event in self._hints.take():
                self._write(event_frame(event, self._codec))


class AsgiOutlet(BufferedOutlet):
    """Sends through ASGI from a background task: for servers without shared frames."""

    def __init__(self, websocket: WebSocket, codec: Codec, *, max_facts: int, on_lagging: Callable[[], None]) -> None:
        super().__init__(max_facts)
        self._websocket = websocket
        self._codec = codec
        self._on_lagging = on_lagging

    async def reply(self, content: bytes) -> None:
        """Send the answer to a message."""
        if self._codec.messages_are_binary:
            await self._websocket.send_bytes(content)
        else:
            await self._websocket.send_text(content.decode())

    async def serve(self) -> None:
        """Send what is offered until cancelled, or until the socket is closed."""
        try:
            while True:
                for event in await self.take():
                    content = self._codec.event_frame(event)
                    if self._codec.is_binary(event):
                        await self._websocket.send_bytes(content)
                    else:
                        await self._websocket.send_text(content.decode())
        except Lagging:
            self._on_lagging()
            await self._websocket.close(LAGGING, _REASON)
        except (WebSocketDisconnect, RuntimeError):  # starlette's two words for: the socket is closed
            return
