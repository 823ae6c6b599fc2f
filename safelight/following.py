"""What SSE and long poll have in common: submits over REST, and one background task per watched job."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import httpx

from safelight.backoff import Backoff
from safelight.errors import ConnectionLost, SafelightError
from safelight.feed import Feed, Gap
from safelight.rest import Rest
from safelight.transport import ConnectionState, Submitted, Watcher
from safelight.wire import read_job

logger = logging.getLogger(__name__)


class FollowingTransport(ABC):
    """A `Transport` that follows each job by itself, for networks that let no WebSocket through."""

    def __init__(self, rest: Rest, *, patience_s: float | None, watcher: Watcher | None = None) -> None:
        self._rest = rest
        self._patience_s = patience_s
        self._watcher = watcher
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @abstractmethod
    async def follow(self, feed: Feed, backoff: Backoff) -> None:
        """Offer what comes after `feed.seq` until the answer ends; tell `backoff` of success.

        Raises:
            httpx.TransportError, Gap: try again. SafelightError: do not.
        """

    async def submit(self, request: Mapping[str, Any], idempotency_key: str) -> Submitted:
        answer = await self._rest.json("POST", "/v1/jobs", value=request, headers={"Idempotency-Key": idempotency_key})
        job = read_job(answer)
        return Submitted(job, self.watch(job.id))

    def watch(self, job_id: str) -> Feed:
        feed = self._feeds.get(job_id)
        if feed is None:
            feed = self._feeds[job_id] = Feed(job_id)
            self._tasks[job_id] = asyncio.create_task(self._run(feed), name=f"safelight follow {job_id}")
        return feed

    async def cancel(self, job_id: str) -> None:
        await self._rest.json("DELETE", f"/v1/jobs/{job_id}")

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for feed in list(self._feeds.values()):
            feed.fail(ConnectionLost("the client was closed"))

    async def _run(self, feed: Feed) -> None:
        backoff = Backoff(self._patience_s)
        try:
            while not feed.has_ended:
                try:
                    await self.follow(feed, backoff)
                except (httpx.TransportError, Gap) as error:
                    feed.resuming()
                    self._tell(ConnectionState.LOST, str(error) or type(error).__name__)
                    await self._rest.wait_before_next(backoff, error)
                    self._tell(ConnectionState.CONNECTED, "")
        except SafelightError as error:
            feed.fail(error)
        except Exception as error:  # whatever it is, nobody may wait for ever
            logger.exception("following a job ended by a mistake of its own")
            feed.fail(SafelightError(f"following job {feed.job_id} ended by a mistake of its own: {error!r}"))
        finally:
            self._feeds.pop(feed.job_id, None)
            self._tasks.pop(feed.job_id, None)

    def _tell(self, state: ConnectionState, reason: str) -> None:
        if self._watcher is not None:
            self._watcher(state, reason)
