"""IOPaint's Socket.IO at `/socket.io/`: `diffusion_progress` for each step of a job, `diffusion_finish` after it.

`service.dialects.iopaint.engine_io` speaks the protocol, once somebody asks for it; this says who may connect and who
hears of what. `service.dialects.iopaint.viewers` has the rule by which a browser hears of its own work only.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from protocol.events import Event, JobQueued, JobRequeued, StepFinished
from protocol.requests import TaskName
from service.auth import Key, secret_from_headers
from service.auth import Scope as KeyScope
from service.dialects.iopaint.viewers import Caller, Viewers, token_of
from service.profiles import Part, part_of
from service.wiring import Services

if TYPE_CHECKING:
    from service.dialects.iopaint.engine_io import Speaker

PATH: Final = "/socket.io"
PROGRESSED: Final = "diffusion_progress"
FINISHED: Final = "diffusion_finish"
_MOST_UNSENT: Final = 512
_GOODBYE_S: Final = 0.5
_DENOISING: Final = frozenset({TaskName.INPAINT, TaskName.OUTPAINT, TaskName.TEXT_TO_IMAGE, TaskName.IMAGE_TO_IMAGE})
_DENOISING_STAGES: Final = frozenset({None, "denoise"})


class SocketIo(Part):
    """The connections of one server. For the event loop only."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._viewers = Viewers()
        self._connections: dict[str, _Connection] = {}
        self._polls: dict[asyncio.Future[None], str | None] = {}
        """Long polls that wait, and the ids of their transports."""
        self._made: Speaker | None = None
        self._making = asyncio.Lock()
        self.routes = (Mount(PATH, app=self._serve),)

    @classmethod
    def of(cls, request: Request) -> "SocketIo":
        """That of the server a request came to."""
        return part_of(request, cls)

    def progress(self, request: Request, key: Key) -> "Progress":
        """For the job of one request; costs next to nothing where nobody is connected."""
        return Progress(self, Caller.of(request.scope, key.id))

    async def tell(self, connections: Iterable[str], event: str, *data: Mapping[str, Any]) -> None:
        """Send an event; one that reads nothing gets nothing more."""
        for sid in connections:
            connection = self._connections.get(sid)
            if connection is not None and len(connection) < _MOST_UNSENT:
                await connection.emit(event, *data)

    @property
    def viewers(self) -> Viewers:
        """Who is connected."""
        return self._viewers

    async def drain(self) -> None:
        if self._made is not None:
            for transport in list(self._made.transports.values()):  # also those that never said who they are
                await self._made.leave(transport)
        if self._polls:  # those that have been told end by themselves; the others' transports are gone
            await asyncio.wait(self._polls, timeout=_GOODBYE_S)
        for poll in self._polls:
            poll.cancel()

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        if self._made is not None:
            await self._made.server.shutdown()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        speaker = await self._speaker()
        self._recognise(scope)
        if scope["type"] == "http" and scope["method"] == "GET":
            await self._poll(speaker, scope, receive, send)
        else:
            await speaker.app(scope, receive, send)
            self._end_polls(speaker, _transport_of(scope))
        self._recognise(scope)

    async def _speaker(self) -> "Speaker":
        """Made for the first who asks, and imported beside the event loop: a server that nobody asks starts sooner."""
        async with self._making:
            if self._made is None:
                make = await anyio.to_thread.run_sync(_speaker_class)
                self._made = make(PATH, connect=self._connect, disconnect=self._disconnect)
        return self._made

    def _end_polls(self, speaker: "Speaker", transport_id: str | None) -> None:
        """A client that says goodbye in one request waits for the end of another, which Engine.IO forgets."""
        transport = speaker.transports.get(transport_id)
        if transport is None or transport.closed:
            for poll, waits_for in self._polls.items():
                if waits_for is not None and waits_for == transport_id:
                    poll.cancel()

    async def _poll(self, speaker: "Speaker", scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a long poll. Engine.IO would go on for 45 s without its client, and hold up a server that stops."""
        request: Message | None = await receive()

        async def once() -> Message:
            nonlocal request
            if request is None:
                await asyncio.Event().wait()
            message, request = request, None
            assert message is not None
            return message

        async def leave() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        answering = asyncio.ensure_future(speaker.app(scope, once, send))
        leaving = asyncio.ensure_future(leave())
        self._polls[answering] = _transport_of(scope)
        try:
            await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            answering.cancel()
            del self._polls[answering]
        with contextlib.suppress(asyncio.CancelledError):
            await answering

    def _recognise(self, scope: Scope) -> None:
        """Take the cookie from any request of a connection: the first is often sent before the page has one."""
        token, transport_id = token_of(Headers(scope=scope)), _transport_of(scope)
        if token is not None and transport_id is not None:
            for sid, connection in self._connections.items():
                if connection.transport_id == transport_id:
                    self._viewers.recognise(sid, token)
                    return

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        """
        Raises:
            ConnectionRefusedError: the server has keys, and none of them was shown, or one that may not read jobs.
        """
        speaker = self._made
        assert speaker is not None, "it is the speaker that tells of a client"
        scope: Scope = environ["asgi.scope"]
        secret = secret_from_headers(Headers(scope=scope), self._services.settings.api.key_header)
        if secret is None and isinstance(auth, dict) and isinstance(auth.get("key"), str):
            secret = auth["key"]
        key = await self._services.keys.find(secret)
        if key is None or not key.allows(KeyScope.JOBS_READ):
            raise speaker.refusal("an API key that may read jobs is needed")
        connection = _Connection(speaker, sid, secret, self._services)
        self._connections[sid] = connection
        self._services.sockets.add(connection)
        self._viewers.add(sid, Caller.of(scope, key.id))

    async def _disconnect(self, sid: str, _reason: str) -> None:
        self._viewers.remove(sid)
        connection = self._connections.pop(sid, None)
        if connection is not None:
            self._services.sockets.discard(connection)


class Progress:
    """Tells whoever sent a request how its job comes along: steps from 0 without a gap, and the end of a success.

    A guess at who that is is made once: who connects later is somebody else.
    """

    def __init__(self, connections: SocketIo, caller: Caller) -> None:
        self._connections = connections
        self._caller = caller
        self._guessed = connections.viewers.guessed(caller)
        self._is_denoising = False
        self._told = 0
        self._steps = 0

    async def on_event(self, event: Event) -> None:
        """Hear an event of the job: for `Desk.run(on_event=...)`."""
        body = event.body
        if isinstance(body, JobQueued):
            self._is_denoising = body.task in _DENOISING
        elif isinstance(body, JobRequeued):
            self._told = self._steps = 0
        elif isinstance(body, StepFinished) and self._is_denoising and body.stage in _DENOISING_STAGES:
            self._steps = body.steps
            await self._tell_steps(body.step)

    async def finish(self) -> None:
        """The job has succeeded, and its answer is about to be sent. Not for one that failed."""
        await self._tell_steps(self._steps)  # the last are often overtaken by the end
        await self._connections.tell(self._recipients(), FINISHED)

    async def _tell_steps(self, upto: int) -> None:
        for step in range(self._told, upto):
            await self._connections.tell(self._recipients(), PROGRESSED, {"step": step})
        self._told = max(self._told, upto)

    def _recipients(self) -> frozenset[str]:
        return self._connections.viewers.tied(self._caller) or self._guessed


class _Connection:
    """One client, for those who close sockets and count them."""

    def __init__(self, speaker: "Speaker", sid: str, secret: str | None, services: Services) -> None:
        self.transport_id: str = speaker.server.manager.eio_sid_from_sid(sid, "/")
        self._speaker = speaker
        self._sid = sid
        self._secret = secret
        self._services = services

    def __len__(self) -> int:
        """Packets that wait to be written."""
        transport = self._speaker.transports.get(self.transport_id)
        return transport.queue.qsize() if transport is not None else 0

    async def emit(self, event: str, *data: Mapping[str, Any]) -> None:
        await self._speaker.server.emit(event, *data, to=self._sid)

    async def check_key(self) -> None:
        if self._secret is not None and await self._services.keys.find(self._secret) is None:
            await self._speaker.server.disconnect(self._sid)

    async def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - Engine.IO has room for neither
        transport = self._speaker.transports.get(self.transport_id)
        if transport is not None:
            await self._speaker.leave(transport)


def _speaker_class() -> "type[Speaker]":
    from service.dialects.iopaint.engine_io import Speaker

    return Speaker


def _transport_of(scope: Scope) -> str | None:
    """The Engine.IO id that a request names."""
    named = parse_qs(scope["query_string"].decode("latin-1")).get("sid")
    return named[0] if named else None
