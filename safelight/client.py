"""The client for asyncio programs.

async with AsyncClient() as client:
    job = await client.submit("upscale", image="photo.jpg", factor=2.0)
    async for event in job.events():
        print(event.type)
    for output in await job.result():
        await output.save("large.png")
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Literal, Self

from pydantic import ValidationError

from protocol.codec import JSON, MSGPACK, Codec
from protocol.events import Event
from protocol.ids import new_id
from protocol.jobs import JobStatus
from protocol.models import Arrived, ModelInfo, ModelKind
from protocol.requests import JobRequest, Previews, Priority, TaskName, Webhook
from protocol.server import ServerInfo
from safelight.address import DEFAULT_URL, Address
from safelight.arguments import request_fields
from safelight.connection import WebSocketConnection
from safelight.errors import UnexpectedAnswer
from safelight.job import AsyncJob
from safelight.mine import MineFeed
from safelight.output import AsyncOutput
from safelight.poll import PollTransport
from safelight.rest import Rest
from safelight.server_feed import ServerFeed
from safelight.server_models import Begun, Progress, ServerModels
from safelight.sse import SseTransport
from safelight.transport import PATIENCE_S, Transport, TransportName, Watcher
from safelight.wire import read_job

CodecName = Literal["json", "msgpack"]
_CODECS: Final[Mapping[str, Codec]] = {codec.name: codec for codec in (JSON, MSGPACK)}
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server takes work now, and what it says of itself."""

    is_ready: bool
    detail: Mapping[str, Any]


class AsyncClient:
    """Talks to one server. Connects when it is first needed; close it, or use it with `async with`.

    Args:
        url: the server's root; `localhost:8765` will do.
        api_key: sent with everything.
        codec: of the WebSocket.
        transport: `websocket`; or `sse` or `poll`, where networks let no WebSocket through.
        patience_s: how long to try to come back after the connection broke; None for ever.
        on_connection: told when the connection is lost, and when it is back.

    Raises:
        ValueError: `url`, `codec` or `transport` is none.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        codec: CodecName = "msgpack",
        *,
        transport: TransportName | Literal["websocket", "sse", "poll"] = TransportName.WEBSOCKET,
        patience_s: float | None = PATIENCE_S,
        on_connection: Watcher | None = None,
    ) -> None:
        if codec not in _CODECS:
            raise ValueError(f"codec: expected one of {', '.join(sorted(_CODECS))}, got {codec!r}")
        self.address = Address.parse(url)
        self._api_key = api_key
        self._codec = _CODECS[codec]
        self._patience_s = patience_s
        self._watcher = on_connection
        self._rest = Rest(self.address, api_key, patience_s=patience_s)
        self._models = ServerModels(self._rest)
        self._transport = self._make_transport(TransportName(transport))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the server. Jobs go on; whoever still waits for one gets `ConnectionLost`."""
        await self._transport.aclose()
        await self._rest.aclose()

    # Jobs

    async def submit(
        self,
        task: str | TaskName | JobRequest,
        *,
        priority: str | Priority | None = None,
        previews: str | Previews | None = None,
        webhook: str | Webhook | Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        **params: object,
    ) -> AsyncJob:
        """Submit a job, and begin to watch it.

        Args:
            task: the kind of work, with its parameters as `params`; or a whole request.
            webhook: an address alone asks for the end of the job.
            idempotency_key: one is made for each call, so that a submit cut off is not done twice; give your own
                to be safe across restarts of your program too.
            params: see `protocol.requests`. A picture may be anything that `safelight.picture.Picture` names.

        Raises:
            RequestRefused: by the server, or by the same checks on this side.
            PictureUnreadable: a picture argument is none.
            ServerUnreachable, ConnectionLost.
        """
        options = {
            "priority": priority,
            "previews": previews,
            "webhook": {"url": webhook} if isinstance(webhook, str) else webhook,
            "labels": labels,
        }
        request = await request_fields(self._rest, task, params, options)
        submitted = await self._transport.submit(request, idempotency_key or new_id())
        return AsyncJob(self._rest, self._transport, submitted.job, submitted.feed)

    async def run(
        self,
        task: str | TaskName | JobRequest,
        *,
        on_event: Callable[[Event], None] | None = None,
        **arguments: Any,
    ) -> list[AsyncOutput]:
        """Submit a job, watch it, and return its outputs; takes what `submit` takes.

        Raises:
            JobFailed, JobCancelled, and what `submit` raises.
        """
        job = await self.submit(task, **arguments)
        if on_event is not None:
            async for event in job.events():
                on_event(event)
        return await job.result()

    async def get(self, job_id: str) -> AsyncJob:
        """Find a job by its id.

        Raises:
            RequestRefused: `not_found`; also for another key's.
        """
        return self._handle(await self._rest.json("GET", f"/v1/jobs/{job_id}"))

    async def jobs(
        self,
        *,
        status: str | JobStatus | Iterable[str] | None = None,
        task: str | TaskName | Iterable[str] | None = None,
        search: str | None = None,
        label: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[AsyncJob, None]:
        """One's own jobs, newest first, fetched a page at a time; at most `limit` of them.

        Args:
            status, task: only jobs of one of these.
            search: only jobs whose prompt has each of these words somewhere in it.
            label: only jobs with this label: its name and value.
        """
        params: dict[str, str | int] = {"limit": min(limit or _PAGE, _PAGE)}
        if status is not None:
            params["status"] = status if isinstance(status, str) else ",".join(status)
        if task is not None:
            params["task"] = task if isinstance(task, str) else ",".join(task)
        if search is not None:
            params["q"] = search
        if label is not None:
            params["label"] = ":".join(label)
        count = 0
        while True:
            page = await self._rest.json("GET", "/v1/jobs", params=params)
            if not isinstance(page, dict) or not isinstance(page.get("jobs"), list):
                raise UnexpectedAnswer("the listing has no list of jobs")
            for fields in page["jobs"]:
                yield self._handle(fields)
                count += 1
                if count == limit:
                    return
            if not page.get("next"):
                return
            params["cursor"] = page["next"]

    async def watch_mine(self, cursor: str | None = None) -> AsyncGenerator[Event, None]:
        """The events of all one's own jobs, as they come; from `cursor` on, or from now on.

        Every fact has the `cursor` from which to go on after it. Never ends by itself.

        Raises:
            RequestRefused: `cursor_expired`; begin anew from `jobs()`.
        """
        # A socket of its own: on a shared one, what is replayed for a job's watcher would look like news.
        connection = self._connect()
        feed = MineFeed(cursor)
        try:
            connection.subscribe(feed)
            async for event in feed:
                yield event
        finally:
            await connection.aclose()

    # The server

    async def models(
        self, *, kind: str | ModelKind | None = None, task: str | TaskName | None = None
    ) -> list[ModelInfo]:
        """The models the server knows: what for, size, licence, whether they are there and in memory.

        Args:
            kind, task: only models of this kind, or for this task.
        """
        return await self._models.list(kind, task)

    async def model(self, name: str) -> ModelInfo:
        """One model, by its name or its id.

        Raises:
            RequestRefused: `not_found`.
        """
        return await self._models.get(name)

    async def load_model(self, name: str, *, idempotency_key: str | None = None) -> AsyncJob:
        """Load a checkpoint before anybody needs it: a job without outputs, at whose end it can be used.

        Raises:
            RequestRefused: `not_found`; or it is none that can be loaded.
        """
        return self._handle(await self._models.load(name, idempotency_key))

    async def unload_model(self, name: str) -> ModelInfo:
        """Ask that a model leave memory. One that jobs are using goes when the last of them has ended.

        Raises:
            RequestRefused: `not_found`.
        """
        return await self._models.unload(name)

    async def hash_model(self, name: str) -> ModelInfo:
        """The model with its SHA-256, which the server computes if it does not know it.

        Raises:
            RequestRefused: `not_found`; or it is no file.
        """
        return await self._models.hash(name)

    async def download_model(
        self,
        url: str,
        kind: str | ModelKind,
        *,
        name: str | None = None,
        sha256: str | None = None,
        on_begun: Begun | None = None,
        on_progress: Progress | None = None,
    ) -> ModelInfo:
        """Have the server download a model file, and wait until it is there. Who leaves does not stop it.

        See `cancel_download`.

        Args:
            url: as the server reaches it.
            kind: what it is; a file that turns out to be something else is not kept.
            name: of the file; by default the last part of the URL.
            sha256: checked by the server; needed for pickles.
            on_begun: told once, what the server is to have.
            on_progress: told how far it is.

        Raises:
            DownloadFailed: nothing came of it. RequestRefused: it was not begun.
            ServerUnreachable, ConnectionLost.
        """
        asked = {"url": url, "kind": str(kind), "name": name, "sha256": sha256}
        wanted = {field: value for field, value in asked.items() if value is not None}
        begun, progress = on_begun or (lambda _model: None), on_progress or (lambda _state: None)
        if not isinstance(self._transport, WebSocketConnection):
            return await self._models.download(wanted, None, begun, progress)
        async with self._server_feed() as news:
            return await self._models.download(wanted, news, begun, progress)

    async def cancel_download(self, name: str, *, arrived: str | Arrived = Arrived.KEEP) -> ModelInfo:
        """End a download, whoever began it.

        Args:
            name: of the model, or its id.
            arrived: `keep` what has arrived, so that a repeated download goes on there; or `discard` it, also that of
                a download that has failed.

        Returns:
            How far it was.

        Raises:
            RequestRefused: `not_found`; `already_ended`: the model is there.
            ValueError: `arrived` is neither.
        """
        return await self._models.cancel_download(name, Arrived(arrived))

    async def watch_server(self) -> AsyncGenerator[Event, None]:
        """What the server tells of itself, as it comes: models on their way, in memory and out of it. Never ends."""
        async with self._server_feed() as news:
            async for event in news:
                yield event

    async def health(self) -> Health:
        """Whether the server takes work now.

        Raises:
            ServerUnreachable: there is no server.
        """
        answer = await self._rest.json("GET", "/v1/health/ready", also=frozenset({HTTPStatus.SERVICE_UNAVAILABLE}))
        detail = answer if isinstance(answer, dict) else {}
        return Health(detail.get("ready") is True, detail)

    async def server(self) -> ServerInfo:
        """What the server is, has in memory, and takes; and what the key may do.

        Raises:
            RequestRefused: `not_found`: it is older than this. ServerUnreachable, ConnectionLost.
        """
        answer = await self._rest.json("GET", "/v1/server")
        try:
            return ServerInfo.model_validate(answer)
        except ValidationError as error:
            raise UnexpectedAnswer(f"what the server tells of itself cannot be read: {error}") from None

    def _handle(self, fields: object) -> AsyncJob:
        return AsyncJob(self._rest, self._transport, read_job(fields))

    @asynccontextmanager
    async def _server_feed(self) -> AsyncIterator[ServerFeed]:
        # A socket of its own, as for `watch_mine`.
        connection, feed = self._connect(), ServerFeed()
        try:
            connection.subscribe(feed)
            await feed.begun()
            yield feed
        finally:
            await connection.aclose()

    def _connect(self) -> WebSocketConnection:
        return WebSocketConnection(
            self.address, self._api_key, self._codec, patience_s=self._patience_s, watcher=self._watcher
        )

    def _make_transport(self, name: TransportName) -> Transport:
        match name:
            case TransportName.WEBSOCKET:
                return self._connect()
            case TransportName.SSE:
                return SseTransport(self._rest, patience_s=self._patience_s, watcher=self._watcher)
            case TransportName.POLL:
                return PollTransport(self._rest, patience_s=self._patience_s, watcher=self._watcher)
