"""The tasks clients start and come back to: each is one of our jobs, found again by the id its client knows it by.

There is no second table: the id is a label of the job, so a task is there as long as its job is, also after a restart.
Everybody has ids of their own: a task is found with the key it was started with.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from protocol.errors import ErrorCode, ProtocolError
from protocol.jobs import Job, JobStatus
from protocol.requests import TaskName, WebhookEvent
from service.auth import Key
from service.dialects.base import Desk
from service.dialects.refusal import Refused
from service.dialects.text_removal.erasers import Erasers
from service.dialects.text_removal.errors import not_found
from service.dialects.text_removal.states import DIALECT_LABEL, TaskState, TaskStatus
from service.job_views import ForeignIds
from service.profiles import Part
from service.wiring import Services

LABELS: Final = {"dialect": DIALECT_LABEL}
OnStarted = Callable[[Job], None]
_Name = tuple[str, str]
"""Of a task: id of its key, its own id."""


class Tasks(Part):
    """The tasks of one server, while it runs. For the event loop only."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = Desk(services)
        self._starting: WeakValueDictionary[_Name, asyncio.Lock] = WeakValueDictionary()
        self._watchers: dict[_Name, set[OnStarted]] = {}
        self.erasers = Erasers(services)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open here: the sockets end with the server's others."""

    async def start(self, task_id: str, params: Mapping[str, Any], key: Key, callback_url: str | None = None) -> Job:
        """Start a task, or find it started: who repeats a request gets the same task.

        An id can be used anew once its task has failed or was cancelled.

        Args:
            params: of `erase`, the picture as bytes.
            callback_url: is told of the end, if that is a success.

        Raises:
            Refused: 409: the id is that of another task.
            ProtocolError: see `Desk.submit`.
        """
        name = (key.id, task_id)
        digest = await asyncio.to_thread(_digest, params, callback_url)
        # Whoever starts the same id at the same moment waits, and then sees this one.
        async with self._starting.setdefault(name, asyncio.Lock()):
            earlier = await self._services.store.job_with_foreign_id(key.id, DIALECT_LABEL, task_id)
            if earlier is not None and earlier.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
                if earlier.labels.get("request") == digest:
                    return earlier
                raise Refused(409, f"Task {task_id} already exists; choose another task_id")
            job = await self._desk.submit(
                TaskName.ERASE,
                params,
                key=key,
                labels={**LABELS, "foreign_id": task_id, "request": digest},
                webhook={"url": callback_url, "events": [WebhookEvent.SUCCEEDED.value]} if callback_url else None,
            )
        for watcher in tuple(self._watchers.get(name, ())):
            watcher(job)
        return job

    async def find(self, task_id: str, key: Key) -> Job:
        """The job of a task, as it is now.

        Raises:
            Refused: 404.
        """
        found = await self._services.store.job_with_foreign_id(key.id, DIALECT_LABEL, task_id)
        if found is None:
            raise not_found(task_id)
        return found if found.status.is_terminal else await self._services.jobs.get(found.id, key)

    async def cancel(self, task_id: str, key: Key) -> TaskState:
        """End a task, and wait for its end; that is, until the step under way is over.

        Returns:
            The task: cancelled, or, if its step takes very long, still going on.

        Raises:
            Refused: 404; or 409: it had ended before.
        """
        job = await self.find(task_id, key)
        try:
            if not job.status.is_terminal:
                await self._desk.cancel(job.id, key)
                job = await self._services.jobs.wait(job.id, key, self._services.settings.max_wait_s)
        except ProtocolError as error:
            if error.code is not ErrorCode.ALREADY_ENDED:
                raise
            job = await self.find(task_id, key)
        state = TaskState.of(job)
        if state.status in {TaskStatus.COMPLETED, TaskStatus.ERROR}:
            raise Refused(409, f"Task {task_id} cannot be cancelled: it is {state.status} already")
        return state

    async def counts(self, key: Key) -> dict[JobStatus, ForeignIds]:
        """The caller's tasks by the status of their jobs."""
        return await self._services.store.foreign_ids(key.id, DIALECT_LABEL)

    def watch(self, task_id: str, key: Key, watcher: OnStarted) -> None:
        """Have `watcher` called with each job that is started under this id from now on."""
        self._watchers.setdefault((key.id, task_id), set()).add(watcher)

    def leave(self, task_id: str, key: Key, watcher: OnStarted) -> None:
        """Stop watching."""
        watchers = self._watchers.get((key.id, task_id), set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop((key.id, task_id), None)


def _digest(params: Mapping[str, Any], callback_url: str | None) -> str:
    """Of what a request asks for: two with the same digest ask for the same. Blocks."""
    picture = hashlib.sha256(params["image"]).hexdigest()
    asked = orjson.dumps([{**params, "image": picture}, callback_url], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(asked).hexdigest()[:32]
