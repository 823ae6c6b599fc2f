"""The WebSocket that comes back: one socket carries many jobs, and breaks without anyone noticing.

What is said over it, and said again over the next one, is `safelight.conversation`.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from protocol.codec import MSGPACK, Codec
from protocol.errors import ErrorCode, ProtocolError
from safelight import verdict
from safelight.address import Address
from safelight.backoff import Backoff
from safelight.conversation import Conversation, Subscription
from safelight.errors import (
    ConnectionLost,
    RequestRefused,
    SafelightError,
    ServerUnreachable,
    UnexpectedAnswer,
)
from safelight.feed import Feed
from safelight.transport import PATIENCE_S, ConnectionState, Submitted, Watcher
from safelight.verdict import Broken, Refused

logger = logging.getLogger(__name__)

LARGEST_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Room for a preview of any size a server may be set to."""


class WebSocketConnection:
    """A `Transport` over `/v1/ws`.

    Connects when it is first needed, comes back by itself while something is wanted, and rests otherwise.

    Args:
        patience_s: how long to try to come back, once there was a connection; None for ever. If there never was one,
            the first failure is told at once.
    """

    def __init__(
        self,
        address: Address,
        api_key: str | None = None,
        codec: Codec = MSGPACK,
        *,
        patience_s: float | None = PATIENCE_S,
        watcher: Watcher | None = None,
    ) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._codec = codec
        self._watcher = watcher
        self._backoff = Backoff(patience_s)
        self._conversation = Conversation()
        self._task: asyncio.Task[None] | None = None
        self._was_connected = False
        self._is_closed = False

    # What is wanted

    async def submit(self, request: Mapping[str, Any], idempotency_key: str) -> Submitted:
        submitted: Submitted = await self._ask(
            {"type": "submit", "job": request, "idempotency_key": idempotency_key, "subscribe": True}
        )
        return submitted

    async def cancel(self, job_id: str) -> None:
        await self._ask({"type": "cancel", "job_id": job_id})

    def watch(self, job_id: str) -> Feed:
        known = self._conversation.feed(job_id)
        if known is not None:
            return known
        feed = Feed(job_id)
        self.subscribe(feed)
        return feed

    def subscribe(self, subscription: Subscription) -> None:
        """Keep `subscription` fed until it has ended."""
        self._require_open()
        self._conversation.subscribe(subscription)
        self._keep_running()

    async def aclose(self) -> None:
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._conversation.fail_all(ConnectionLost("the client was closed"))

    async def _ask(self, message: Mapping[str, Any]) -> Any:
        self._require_open()
        with self._conversation.asking(message) as answer:
            self._keep_running()
            return await answer

    def _require_open(self) -> None:
        if self._is_closed:
            raise ConnectionLost("the client was closed")

    # The life of the connection

    def _keep_running(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="safelight connection")

    async def _run(self) -> None:
        try:
            while self._conversation.is_wanted:
                try:
                    await self._serve_one_socket()
                except Broken as broken:
                    await self._wait_before_next(str(broken))
        except Refused as refused:
            self._conversation.fail_all(refused.error)
        except Exception as error:  # whatever it is, nobody may wait for ever
            logger.exception("the connection ended by a mistake of its own")
            self._conversation.fail_all(SafelightError(f"the connection ended by a mistake of its own: {error!r}"))

    async def _wait_before_next(self, reason: str) -> None:
        self._backoff.failed()
        if not self._conversation.is_wanted:
            return
        if not self._was_connected:
            raise Refused(ServerUnreachable(self._address.http, reason))
        if self._backoff.is_exhausted:
            self._was_connected = False
            self._backoff.succeeded()
            raise Refused(ConnectionLost(f"the connection to {self._address.http} did not come back ({reason})"))
        logger.debug("connection lost: %s", reason)
        self._tell(ConnectionState.LOST, reason)
        await asyncio.sleep(self._backoff.delay_s())

    async def _serve_one_socket(self) -> None:
        """Connect, send what is wanted, and take what comes; ends by an exception only.

        Raises:
            Broken: try again. Refused: do not.
        """
        try:
            async with connect(
                self._address.socket,
                subprotocols=[Subprotocol(self._codec.subprotocol)],
                additional_headers=self._headers,
                proxy=None if self._address.is_loopback else True,
                compression=None,
                max_size=LARGEST_FRAME_BYTES,
                close_timeout=2,
            ) as socket:
                if socket.subprotocol != self._codec.subprotocol:
                    raise Refused(UnexpectedAnswer(f"{self._address.socket} does not speak {self._codec.subprotocol}"))
                await self._exchange(socket)
        except ConnectionClosed as error:
            end = verdict.of_close(error)
            if end.is_too_big:
                # Sent again it would be too big again; what is small enough still wants its answer.
                self._conversation.fail_submits(
                    RequestRefused(ErrorCode.TOO_LARGE, f"a job request is too large: {end.reason}")
                )
            raise (Refused(end.final) if end.final is not None else Broken(end.reason)) from None
        except InvalidStatus as error:
            end = verdict.of_answer(self._address.socket, error.response.status_code, bytes(error.response.body))
            raise (Refused(end.final) if end.final is not None else Broken(end.reason)) from None
        except InvalidHandshake as error:
            if isinstance(error.__cause__, EOFError):  # cut in the middle of the handshake
                raise Broken(str(error)) from None
            raise Refused(
                UnexpectedAnswer(f"{self._address.socket} does not speak {self._codec.subprotocol}: {error}")
            ) from None
        except (OSError, TimeoutError, EOFError) as error:
            raise Broken(str(error) or type(error).__name__) from None

    async def _exchange(self, socket: ClientConnection) -> None:
        outbox = self._conversation.begin()
        self._was_connected = True
        self._tell(ConnectionState.CONNECTED, self._address.http)
        sender = asyncio.create_task(self._drain(socket, outbox), name="safelight sender")
        try:
            while True:
                frame = await socket.recv()
                self._backoff.succeeded()
                self._receive(frame)
        finally:
            self._conversation.pause()
            sender.cancel()
            await socket.close()

    async def _drain(self, socket: ClientConnection, outbox: asyncio.Queue[Mapping[str, Any]]) -> None:
        try:
            while True:
                frame = self._codec.encode(await outbox.get())
                await socket.send(frame, text=not self._codec.messages_are_binary)
        except ConnectionClosed:
            pass  # the receiving side is told too, and acts on it

    def _receive(self, frame: str | bytes) -> None:
        try:
            message = self._codec.decode(frame)
        except ProtocolError as error:
            raise Broken(f"a frame that cannot be read: {error.message}") from None
        self._conversation.take(message)

    def _tell(self, state: ConnectionState, reason: str) -> None:
        if self._watcher is not None:
            self._watcher(state, reason)
