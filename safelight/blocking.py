"""The client for programs without asyncio: the same, but each call returns when it is done.

with Client() as client:
    for output in client.run("upscale", image="photo.jpg", factor=2.0):
        output.save("large.png")
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from protocol.events import Event, OutputReady
from protocol.jobs import Job as JobState
from protocol.jobs import JobStatus
from protocol.models import Arrived, ModelInfo, ModelKind
from protocol.requests import JobRequest, Previews, Priority, TaskName, Webhook
from protocol.server import ServerInfo
from safelight.address import DEFAULT_URL
from safelight.client import AsyncClient, CodecName, Health
from safelight.job import AsyncJob
from safelight.output import AsyncOutput
from safelight.server_models import Begun, Progress
from safelight.transport import PATIENCE_S, TransportName, Watcher

T = TypeVar("T")


class _Loop:
    """An event loop on a thread of its own, for callers that have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="safelight client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`; an interrupt of the waiting thread cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """Wait for one item after the other."""
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            self.run(_close(items))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


class Output:
    """One output of a job. May be passed to `submit` as a picture: then it is not sent again."""

    def __init__(self, loop: _Loop, output: AsyncOutput) -> None:
        self._loop = loop
        self._output = output

    def __repr__(self) -> str:
        return repr(self._output).replace("AsyncOutput", "Output")

    @property
    def info(self) -> OutputReady:
        return self._output.info

    @property
    def reference(self) -> str:
        return self._output.reference

    @property
    def index(self) -> int:
        return self._output.index

    @property
    def media_type(self) -> str:
        return self._output.media_type

    @property
    def width(self) -> int | None:
        return self._output.width

    @property
    def height(self) -> int | None:
        return self._output.height

    @property
    def data(self) -> Mapping[str, Any]:
        return self._output.data

    @property
    def suffix(self) -> str:
        return self._output.suffix

    def read(self) -> bytes:
        """See `AsyncOutput.read`."""
        return self._loop.run(self._output.read())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """See `AsyncOutput.save`."""
        return self._loop.run(self._output.save(path))


class Job:
    """A job that was submitted, or found; see `AsyncJob`."""

    def __init__(self, loop: _Loop, job: AsyncJob) -> None:
        self._loop = loop
        self._job = job

    def __repr__(self) -> str:
        return repr(self._job).replace("AsyncJob", "Job")

    @property
    def id(self) -> str:
        return self._job.id

    @property
    def task(self) -> TaskName:
        return self._job.task

    @property
    def reference(self) -> str:
        return self._job.reference

    @property
    def state(self) -> JobState:
        return self._loop.run(self._read_state())

    @property
    def status(self) -> JobStatus:
        return self.state.status

    @property
    def outputs(self) -> list[Output]:
        self.state  # noqa: B018 - brought up to date on the loop's thread
        return [Output(self._loop, output) for output in self._job.outputs]

    def events(self, after: int = 0) -> Iterator[Event]:
        """See `AsyncJob.events`."""
        return self._loop.iterate(self._job.events(after))

    def wait(self) -> JobState:
        """See `AsyncJob.wait`."""
        return self._loop.run(self._job.wait())

    def result(self) -> list[Output]:
        """See `AsyncJob.result`."""
        return [Output(self._loop, output) for output in self._loop.run(self._job.result())]

    def cancel(self) -> None:
        """See `AsyncJob.cancel`."""
        self._loop.run(self._job.cancel())

    def skip(self) -> None:
        """See `AsyncJob.skip`."""
        self._loop.run(self._job.skip())

    def forget(self) -> None:
        """See `AsyncJob.forget`."""
        self._loop.run(self._job.forget())

    async def _read_state(self) -> JobState:
        return self._job.state


class Client:
    """Talks to one server; see `AsyncClient`. May be used from several threads. Close it, or use it with `with`."""

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
        self._client = AsyncClient(
            url, api_key, codec, transport=transport, patience_s=patience_s, on_connection=on_connection
        )
        self._loop = _Loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """See `AsyncClient.aclose`."""
        self._loop.run(self._client.aclose())
        self._loop.close()

    def submit(
        self,
        task: str | TaskName | JobRequest,
        *,
        priority: str | Priority | None = None,
        previews: str | Previews | None = None,
        webhook: str | Webhook | Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        **params: object,
    ) -> Job:
        """See `AsyncClient.submit`."""
        job = self._loop.run(
            self._client.submit(
                task,
                priority=priority,
                previews=previews,
                webhook=webhook,
                labels=labels,
                idempotency_key=idempotency_key,
                **params,
            )
        )
        return Job(self._loop, job)

    def run(
        self,
        task: str | TaskName | JobRequest,
        *,
        on_event: Callable[[Event], None] | None = None,
        **arguments: Any,
    ) -> list[Output]:
        """See `AsyncClient.run`; `on_event` is called on the thread that waits here."""
        job = self.submit(task, **arguments)
        if on_event is not None:
            for event in job.events():
                on_event(event)
        return job.result()

    def get(self, job_id: str) -> Job:
        """See `AsyncClient.get`."""
        return Job(self._loop, self._loop.run(self._client.get(job_id)))

    def jobs(
        self,
        *,
        status: str | JobStatus | Iterable[str] | None = None,
        task: str | TaskName | Iterable[str] | None = None,
        search: str | None = None,
        label: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """See `AsyncClient.jobs`."""
        found = self._client.jobs(status=status, task=task, search=search, label=label, limit=limit)
        for job in self._loop.iterate(found):
            yield Job(self._loop, job)

    def watch_mine(self, cursor: str | None = None) -> Iterator[Event]:
        """See `AsyncClient.watch_mine`."""
        return self._loop.iterate(self._client.watch_mine(cursor))

    def watch_server(self) -> Iterator[Event]:
        """See `AsyncClient.watch_server`."""
        return self._loop.iterate(self._client.watch_server())

    def models(self, *, kind: str | ModelKind | None = None, task: str | TaskName | None = None) -> list[ModelInfo]:
        """See `AsyncClient.models`."""
        return self._loop.run(self._client.models(kind=kind, task=task))

    def model(self, name: str) -> ModelInfo:
        """See `AsyncClient.model`."""
        return self._loop.run(self._client.model(name))

    def load_model(self, name: str, *, idempotency_key: str | None = None) -> Job:
        """See `AsyncClient.load_model`."""
        return Job(self._loop, self._loop.run(self._client.load_model(name, idempotency_key=idempotency_key)))

    def unload_model(self, name: str) -> ModelInfo:
        """See `AsyncClient.unload_model`."""
        return self._loop.run(self._client.unload_model(name))

    def hash_model(self, name: str) -> ModelInfo:
        """See `AsyncClient.hash_model`."""
        return self._loop.run(self._client.hash_model(name))

    def download_model(
        self,
        url: str,
        kind: str | ModelKind,
        *,
        name: str | None = None,
        sha256: str | None = None,
        on_begun: Begun | None = None,
        on_progress: Progress | None = None,
    ) -> ModelInfo:
        """See `AsyncClient.download_model`; `on_begun` and `on_progress` are called on a thread of the client's own."""
        return self._loop.run(
            self._client.download_model(url, kind, name=name, sha256=sha256, on_begun=on_begun, on_progress=on_progress)
        )

    def cancel_download(self, name: str, *, arrived: str | Arrived = Arrived.KEEP) -> ModelInfo:
        """See `AsyncClient.cancel_download`."""
        return self._loop.run(self._client.cancel_download(name, arrived=arrived))

    def server(self) -> ServerInfo:
        """See `AsyncClient.server`."""
        return self._loop.run(self._client.server())

    def health(self) -> Health:
        """See `AsyncClient.health`."""
        return self._loop.run(self._client.health())
