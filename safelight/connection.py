"""The WebSocket that comes back: one socket carries many jobs, and breaks without anyone noticing.

Whatever is wanted is kept in two tables: messages without a reply yet, and subscriptions without an end yet. A new
socket begins by sending both again: submits with their idempotency key, subscriptions from the last fact they have.
"""

import asyncio
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from protocol.codec import MSGPACK, Codec
from protocol.errors import ErrorCode, ProtocolError
from safelight import verdict
from safelight.address import Address
from safelight.backoff import Backoff
from safelight.errors import (
    ConnectionLost,
    RequestRefused,
    SafelightError,
    ServerUnreachable,
    UnexpectedAnswer,
)
from safelight.feed import Feed, Gap
from safelight.transport import PATIENCE_S, ConnectionState, Submitted, Watcher
from safelight.verdict import Broken, Refused
from safelight.wire import read_job, read_refusal

logger = logging.getLogger(__name__)

LARGEST_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Room for a preview of any size a server may be set to."""


class Subscription(Protocol):
    """What a connection keeps alive across sockets: `Feed` or `MineFeed`."""

    @property
    def job_id(self) -> str | None: ...

    @property
    def has_ended(self) -> bool: ...

    def subscription(self) -> dict[str, Any]: ...

    def subscribed(self, cursor: str | None) -> None: ...

    def resuming(self) -> None: ...

    def offer(self, fields: Mapping[str, Any]) -> bool: ...

    def fail(self, error: Exception) -> None: ...


@dataclass(slots=True, eq=False)
class _Question:
    """A message that waits for its reply."""

    message: Mapping[str, Any]
    answer: asyncio.Future[Any]
    times_sent: int = 0

    @property
    def is_submit(self) -> bool:
        return bool(self.message["type"] == "submit")


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
        self._refs = itertools.count(1)
        self._questions: dict[str, _Question] = {}
        self._subscriptions: dict[str | None, Subscription] = {}
        self._subscribing: dict[str, Subscription] = {}
        self._early: dict[str, list[Mapping[str, Any]]] = {}
        self._outbox: asyncio.Queue[Mapping[str, Any]] | None = None
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
        known = self._subscriptions.get(job_id)
        if isinstance(known, Feed):
            return known
        feed = Feed(job_id)
        self.subscribe(feed)
        return feed

    def subscribe(self, subscription: Subscription) -> None:
        """Keep `subscription` fed until it has ended."""
        self._require_open()
        self._subscriptions[subscription.job_id] = subscription
        self._send_subscribe(subscription)
        self._keep_running()

    async def aclose(self) -> None:
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail_all(ConnectionLost("the client was closed"))

    async def _ask(self, message: Mapping[str, Any]) -> Any:
        self._require_open()
        question = _Question(message, asyncio.get_running_loop().create_future())
        ref = f"q{next(self._refs)}"
        self._questions[ref] = question
        self._send_question(ref, question)
        self._keep_running()
        try:
            return await question.answer
        finally:
            self._questions.pop(ref, None)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ConnectionLost("the client was closed")

    @property
    def _is_wanted(self) -> bool:
        return bool(self._questions or self._subscriptions)

    # Sending: without a socket nothing is sent, and all of it is when there is one again

    def _send_question(self, ref: str, question: _Question) -> None:
        if self._outbox is not None:
            question.times_sent += 1
            self._outbox.put_nowait({**question.message, "ref": ref})

    def _send_subscribe(self, subscription: Subscription) -> None:
        if self._outbox is not None:
            ref = f"s{next(self._refs)}"
            self._subscribing[ref] = subscription
            self._outbox.put_nowait({**subscription.subscription(), "ref": ref})

    async def _drain(self, socket: ClientConnection, outbox: asyncio.Queue[Mapping[str, Any]]) -> None:
        try:
            while True:
                frame = self._codec.encode(await outbox.get())
                await socket.send(frame, text=not self._codec.messages_are_binary)
        except ConnectionClosed:
            pass  # the receiving side is told too, and acts on it

    # The life of the connection

    def _keep_running(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="safelight connection")

    async def _run(self) -> None:
        try:
            while self._is_wanted:
                try:
                    await self._serve_one_socket()
                except Broken as broken:
                    await self._wait_before_next(str(broken))
        except Refused as refused:
            self._fail_all(refused.error)
        except Exception as error:  # whatever it is, nobody may wait for ever
            logger.exception("the connection ended by a mistake of its own")
            self._fail_all(SafelightError(f"the connection ended by a mistake of its own: {error!r}"))

    async def _wait_before_next(self, reason: str) -> None:
        self._backoff.failed()
        if not self._is_wanted:
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
                self._fail_submits(RequestRefused(ErrorCode.TOO_LARGE, f"a job request is too large: {end.reason}"))
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
        self._begin()
        assert self._outbox is not None
        sender = asyncio.create_task(self._drain(socket, self._outbox), name="safelight sender")
        try:
            while True:
                frame = await socket.recv()
                self._backoff.succeeded()
                self._receive(frame)
        finally:
            self._outbox = None
            sender.cancel()
            await socket.close()

    def _begin(self) -> None:
        self._outbox = asyncio.Queue()
        self._was_connected = True
        self._early.clear()
        self._subscribing.clear()
        for subscription in self._subscriptions.values():
            subscription.resuming()
            self._send_subscribe(subscription)
        for ref, question in self._questions.items():
            self._send_question(ref, question)
        self._tell(ConnectionState.CONNECTED, self._address.http)

    def _tell(self, state: ConnectionState, reason: str) -> None:
        if self._watcher is not None:
            self._watcher(state, reason)

    # Receiving

    def _receive(self, frame: str | bytes) -> None:
        try:
            message = self._codec.decode(frame)
        except ProtocolError as error:
            raise Broken(f"a frame that cannot be read: {error.message}") from None
        if message.get("type") == "reply":
            self._take_reply(message)
        elif message.get("job_id") is None and None not in self._subscriptions:
            pass  # of a topic that nobody here asked for
        else:
            self._take_event(message)

    def _take_event(self, fields: Mapping[str, Any]) -> None:
        job_id = fields.get("job_id")
        subscription = self._subscriptions.get(job_id) or self._subscriptions.get(None)
        if subscription is not None:
            self._offer(subscription, fields)
        elif isinstance(job_id, str) and any(question.is_submit for question in self._questions.values()):
            # Perhaps of a job whose submit has not been answered yet.
            self._early.setdefault(job_id, []).append(fields)

    def _offer(self, subscription: Subscription, fields: Mapping[str, Any]) -> None:
        try:
            subscription.offer(fields)
        except Gap as gap:
            raise Broken(f"events are missing: {gap}") from None
        except UnexpectedAnswer as error:
            subscription.fail(error)
        if subscription.has_ended and self._subscriptions.get(subscription.job_id) is subscription:
            del self._subscriptions[subscription.job_id]

    def _take_reply(self, reply: Mapping[str, Any]) -> None:
        ref = reply.get("ref")
        if not isinstance(ref, str):
            return  # to a frame that the server could not read; it says so by its close code
        if ref in self._subscribing:
            self._take_subscribed(self._subscribing.pop(ref), reply)
        elif ref in self._questions:
            self._take_answer(ref, self._questions[ref], reply)

    def _take_subscribed(self, subscription: Subscription, reply: Mapping[str, Any]) -> None:
        if reply.get("ok"):
            subscription.subscribed(reply.get("cursor"))
            return
        subscription.fail(read_refusal(reply.get("error")))
        self._subscriptions.pop(subscription.job_id, None)

    def _take_answer(self, ref: str, question: _Question, reply: Mapping[str, Any]) -> None:
        was_sent_before = question.times_sent > 1
        refusal = None if reply.get("ok") else read_refusal(reply.get("error"))
        if refusal is not None and refusal.code == ErrorCode.DRAINING:
            # The question stays, and is asked again of whoever answers next.
            raise Broken("the server is draining")
        if refusal is not None and not (
            # The first time it was heard, and the answer was lost with its socket.
            refusal.code == ErrorCode.ALREADY_ENDED and question.message["type"] == "cancel" and was_sent_before
        ):
            self._answer(ref, question, refusal)
        elif question.is_submit:
            self._take_submitted(ref, question, reply)
        else:
            self._answer(ref, question, None)

    def _take_submitted(self, ref: str, question: _Question, reply: Mapping[str, Any]) -> None:
        try:
            job = read_job(reply.get("job"))
        except UnexpectedAnswer as error:
            self._answer(ref, question, error)
            return
        known = self._subscriptions.get(job.id)
        feed = known if isinstance(known, Feed) else Feed(job.id)
        self._subscriptions[job.id] = feed
        self._answer(ref, question, Submitted(job, feed))
        for fields in self._early.pop(job.id, []):
            self._offer(feed, fields)

    def _answer(self, ref: str, question: _Question, answer: object) -> None:
        del self._questions[ref]
        if question.answer.done():
            return  # who asked has gone away
        if isinstance(answer, Exception):
            question.answer.set_exception(answer)
        else:
            question.answer.set_result(answer)

    def _fail_submits(self, error: Exception) -> None:
        for ref, question in list(self._questions.items()):
            if question.is_submit:
                self._answer(ref, question, error)

    def _fail_all(self, error: Exception) -> None:
        for ref, question in list(self._questions.items()):
            self._answer(ref, question, error)
        subscriptions = list(self._subscriptions.values())
        self._subscriptions.clear()
        for subscription in subscriptions:
            subscription.fail(error)
