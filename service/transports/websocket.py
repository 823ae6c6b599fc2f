"""`/v1/ws`: one socket that submits, watches and cancels many jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from protocol.codec import CODECS, Codec
from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.messages import (
    Auth,
    Cancel,
    ClientMessage,
    Ping,
    Reply,
    Skip,
    Submit,
    Subscribe,
    Unsubscribe,
    parse_client_message,
)
from service.auth import Key, Scope, secret_from_headers, secret_from_subprotocols
from service.database import StoreUnavailable
from service.errors import ServiceError
from service.feeds import JobSubscription, KeySubscription, ServerSubscription
from service.submissions import Submission
from service.transports.shared_frames import EXTENSION, SharedFrameProtocol
from service.transports.socket_outlet import AsgiOutlet, DirectOutlet
from service.wiring import Services

logger = structlog.get_logger(__name__)

UNSUPPORTED: Final = 1003
RESTARTING: Final = 1012
MALFORMED: Final = 4400
UNAUTHORIZED: Final = 4401
NO_SUBPROTOCOL: Final = 4406
_MALFORMED_ALLOWED: Final = 10
_SUBMITS_AT_ONCE: Final = 256

Subscription: TypeAlias = JobSubscription | KeySubscription | ServerSubscription


class _Close(Exception):
    """End the socket with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def websocket_endpoint(websocket: WebSocket) -> None:
    """Serve one socket until either side closes it."""
    services: Services = websocket.app.state.services
    offered = websocket.scope.get("subprotocols", [])
    codec = next((CODECS[name] for name in offered if name in CODECS), None)
    if codec is None:
        # Accepted first: only then can a client read the code that says why.
        await websocket.accept(subprotocol=None)
        await websocket.close(NO_SUBPROTOCOL, f"offer one of: {', '.join(CODECS)}")
        return
    await websocket.accept(subprotocol=codec.subprotocol)
    session = _Session(websocket, codec, services)
    services.sockets.add(session)
    try:
        await session.serve()
    finally:
        services.sockets.discard(session)


class _Session:
    """One accepted socket."""

    def __init__(self, websocket: WebSocket, codec: Codec, services: Services) -> None:
        self._websocket = websocket
        self._codec = codec
        self._services = services
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._submits = asyncio.Semaphore(_SUBMITS_AT_ONCE)
        self._malformed = 0
        self._secret: str | None = None
        """The key it showed."""
        protocol = websocket.scope.get("extensions", {}).get(EXTENSION, {}).get("protocol")
        settings = services.settings
        on_lagging = services.metrics.socket_lagged
        self._outlet: DirectOutlet | AsgiOutlet
        if isinstance(protocol, SharedFrameProtocol):
            self._outlet = DirectOutlet(
                protocol,
                codec,
                services.bus.cork,
                soft_bytes=settings.socket_soft_bytes,
                hard_bytes=settings.socket_hard_bytes,
                on_lagging=on_lagging,
            )
        else:
            self._outlet = AsgiOutlet(websocket, codec, max_facts=settings.event_buffer, on_lagging=on_lagging)

    async def serve(self) -> None:
        try:
            await self._run()
        except* WebSocketDisconnect:
            pass
        except* _Close as endings:
            ending = endings.exceptions[0]
            assert isinstance(ending, _Close)
            await self.close(ending.code, ending.reason)
        finally:
            self._outlet.close()
            for subscription in self._subscriptions.values():
                subscription.close()

    def __len__(self) -> int:
        """Events that wait to be written."""
        return len(self._outlet)

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye. From any background task of the event loop."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            try:
                await self._websocket.close(code, reason)
            except (WebSocketDisconnect, RuntimeError):  # starlette's two words for: it is closed already
                logger.debug("socket.closed_already", code=code)

    async def check_key(self) -> None:
        """Close the socket if its key has been revoked since it was shown."""
        if self._secret is not None and await self._services.keys.find(self._secret) is None:
            await self.close(UNAUTHORIZED, "this API key has been revoked")

    async def _run(self) -> None:
        key = await self._authenticate()
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._outlet.serve())
            try:
                await self._listen(key, group)
            finally:
                sender.cancel()

    # ---- who it is -------------------------------------------------------------------------------------------

    async def _authenticate(self) -> Key:
        """The key of the handshake, or else of the first message."""
        secret = secret_from_headers(self._websocket.headers, self._services.settings.api.key_header)
        secret = secret or secret_from_subprotocols(self._websocket.scope.get("subprotocols", []))
        key = await self._key(secret)
        if key is not None:
            self._secret = secret
            return key
        if secret is not None:
            raise _Close(UNAUTHORIZED, "this API key is not known")
        try:
            async with asyncio.timeout(self._services.settings.auth_timeout_s):
                message = await self._next_message()
        except TimeoutError:
            raise _Close(UNAUTHORIZED, "no auth message in time") from None
        key = await self._key(message.key) if isinstance(message, Auth) else None
        if key is None:
            raise _Close(UNAUTHORIZED, "the first message must be auth with a known API key")
        assert isinstance(message, Auth)
        self._secret = message.key
        await self._reply(Reply(ref=message.ref, ok=True))
        return key

    async def _key(self, secret: str | None) -> Key | None:
        """The key of a secret; None if there is none."""
        try:
            return await self._services.keys.find(secret)
        except StoreUnavailable:
            raise _Close(RESTARTING, "keys cannot be looked up at the moment; try again soon") from None

    # ---- what it says ----------------------------------------------------------------------------------------

    async def _listen(self, key: Key, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._next_message()
            if message is None:
                continue
            if isinstance(message, Submit):
                # Beside the others: fetching a picture must not hold up a cancel.
                await self._submits.acquire()
                submit = group.create_task(self._answer(message, self._submit, key))
                submit.add_done_callback(lambda _task: self._submits.release())
            elif isinstance(message, Subscribe) and message.jobs is not None:
                group.create_task(self._answer(message, self._subscribe_when_known, key))
            else:
                await self._answer(message, self._handler(message), key)

    async def _next_message(self) -> ClientMessage | None:
        """The next message; None for one that was refused with an answer.

        Raises:
            _Close: a frame of the wrong kind, or too many that are no messages.
            WebSocketDisconnect: the client has gone.
        """
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005), received.get("reason"))
        frame: str | bytes = received["text"] if received.get("text") is not None else received["bytes"]
        if isinstance(frame, bytes) is not self._codec.messages_are_binary:
            due = "binary" if self._codec.messages_are_binary else "text"
            raise _Close(UNSUPPORTED, f"{self._codec.subprotocol} takes {due} frames")
        fields: dict[str, Any] = {}
        try:
            fields = self._codec.decode(frame)
            return parse_client_message(fields)
        except ProtocolError as error:
            self._malformed += 1
            if self._malformed > _MALFORMED_ALLOWED:
                raise _Close(MALFORMED, "too many frames that are no messages") from None
            ref = fields.get("ref")
            await self._reply(Reply(ref=ref if isinstance(ref, str) else None, ok=False, error=error.body()))
            return None

    async def _answer(self, message: ClientMessage, handle: "_Handler", key: Key) -> None:
        """Handle one message; whatever goes wrong is an answer, and the socket lives on."""
        try:
            await handle(message, key)
        except ProtocolError as error:
            await self._reply(Reply(ref=message.ref, ok=False, error=error.body()))
        except (WebSocketDisconnect, _Close):
            raise
        except Exception:  # one message must not end the other jobs of this socket
            logger.exception("socket.message_failed", message_type=message.type)
            failure = ErrorBody(code=ErrorCode.INTERNAL, message="the server failed to handle this message")
            await self._reply(Reply(ref=message.ref, ok=False, error=failure))

    def _handler(self, message: ClientMessage) -> "_Handler":
        handlers: Mapping[type[ClientMessage], _Handler] = {
            Auth: self._pong,  # the handshake has shown a key already
            Ping: self._pong,
            Subscribe: self._subscribe_when_known,
            Unsubscribe: self._unsubscribe,
            Cancel: self._cancel,
            Skip: self._skip,
            Submit: self._submit,
        }
        return handlers[type(message)]

    async def _pong(self, message: ClientMessage, key: Key) -> None:  # noqa: ARG002 - every handler is called alike
        await self._reply(Reply(ref=message.ref, ok=True))

    async def _submit(self, message: ClientMessage, key: Key) -> None:
        assert isinstance(message, Submit)
        key.require(Scope.JOBS_WRITE)
        if message.subscribe:
            key.require(Scope.JOBS_READ)
        submission = Submission(message.job, key, message.idempotency_key, at="$.job")
        accepted = await self._services.submissions.submit(submission)
        await self._reply(Reply(ref=message.ref, ok=True, job=accepted.job))
        if message.subscribe:
            await self._follow_job(accepted.job.id, 0, key)

    async def _subscribe_when_known(self, message: ClientMessage, key: Key) -> None:
        """Subscribe; or, where this server is behind and cannot catch up, send the client to try elsewhere or later."""
        try:
            await self._subscribe(message, key)
        except ServiceError as error:
            if error.code is not ErrorCode.NOT_READY:
                raise
            raise _Close(RESTARTING, error.message) from None

    async def _subscribe(self, message: ClientMessage, key: Key) -> None:
        assert isinstance(message, Subscribe)
        key.require(Scope.JOBS_READ)
        if message.job_id is not None:
            job = await self._services.jobs.get(message.job_id, key)
            if message.after > job.seq and await self._services.feeds.catch_up():  # it was told elsewhere, a moment ago
                job = await self._services.jobs.get(message.job_id, key)
            if message.after > job.seq:
                text = f"after: expected at most {job.seq}, the job's last seq, got {message.after} at $.after"
                raise ProtocolError(ErrorCode.INVALID_PARAMS, text, "$.after")
            await self._reply(Reply(ref=message.ref, ok=True, job=job))
            await self._follow_job(message.job_id, message.after, key)
        elif message.jobs is not None:
            self._leave("jobs", message.jobs)
            subscription = await self._services.feeds.follow_key(key.id, message.cursor, self._outlet)
            self._keep("jobs", message.jobs, subscription)
            await self._reply(Reply(ref=message.ref, ok=True, cursor=subscription.cursor))
        else:
            self._keep("topic", "server", self._services.feeds.follow_server(self._outlet))
            await self._reply(Reply(ref=message.ref, ok=True))

    async def _unsubscribe(self, message: ClientMessage, key: Key) -> None:  # noqa: ARG002 - called like the others
        assert isinstance(message, Unsubscribe)
        for kind in ("job_id", "jobs", "topic"):
            if (name := getattr(message, kind)) is not None:
                self._leave(kind, name)
        await self._reply(Reply(ref=message.ref, ok=True))

    async def _cancel(self, message: ClientMessage, key: Key) -> None:
        assert isinstance(message, Cancel)
        key.require(Scope.JOBS_WRITE)
        job = await self._services.jobs.cancel(message.job_id, key)
        await self._reply(Reply(ref=message.ref, ok=True, job=job))

    async def _skip(self, message: ClientMessage, key: Key) -> None:
        assert isinstance(message, Skip)
        key.require(Scope.JOBS_WRITE)
        job = await self._services.jobs.skip(message.job_id, key)
        await self._reply(Reply(ref=message.ref, ok=True, job=job))

    async def _follow_job(self, job_id: str, after: int, key: Key) -> None:
        self._leave("job_id", job_id)
        subscription = await self._services.feeds.follow_job(job_id, key.visible, after, self._outlet)
        subscription.on_end = lambda: self._leave("job_id", job_id)
        if not subscription.has_ended:
            self._keep("job_id", job_id, subscription)

    def _keep(self, kind: str, name: str, subscription: Subscription) -> None:
        self._leave(kind, name)  # another one, asked for while this one was read from the store
        self._subscriptions[kind, name] = subscription

    def _leave(self, kind: str, name: str) -> None:
        subscription = self._subscriptions.pop((kind, name), None)
        if subscription is not None:
            subscription.close()

    async def _reply(self, reply: Reply) -> None:
        await self._outlet.reply(self._codec.encode(reply.wire()))


_Handler: TypeAlias = Callable[[ClientMessage, Key], Awaitable[None]]
