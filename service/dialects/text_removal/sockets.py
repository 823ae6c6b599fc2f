"""The progress sockets: `/api/v1/ws/progress` and `/api/v1/ws/progress/{task_id}`.

A socket hears of the tasks it has subscribed to, also of those that are only started later. The one with an id in its
path is subscribed to that task from the beginning, and is told at once where the task stands: a fast one may have
ended before its client got here.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event
from protocol.jobs import Job
from service.auth import Key, Scope, secret_from_headers
from service.dialects.text_removal import messages
from service.dialects.text_removal.errors import status_of
from service.dialects.text_removal.messages import NoMessage
from service.dialects.text_removal.states import TaskState, TaskStatus
from service.dialects.text_removal.tasks import Tasks
from service.errors import problem_response
from service.feeds import JobSubscription
from service.outlet import BufferedOutlet, Lagging
from service.profiles import part_of
from service.wiring import Services

logger = structlog.get_logger(__name__)

_REVOKED: Final = 4401
_LAGGING: Final = 4408
_MOST_TASKS: Final = 1000
_CANCELS_AT_ONCE: Final = 32
_NOT_FOUND: Final = 404


async def progress_socket(websocket: WebSocket) -> None:
    """Serve one socket until either side closes it; without a known key it is refused."""
    services: Services = websocket.app.state.services
    secret = secret_from_headers(websocket.headers, services.settings.api.key_header)
    try:
        key = await services.keys.find(secret)
        if key is None:
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "an API key is needed")
        key.require(Scope.JOBS_READ)
    except ProtocolError as error:
        await websocket.send_denial_response(problem_response(error))
        return
    await websocket.accept()
    session = _Session(websocket, services, part_of(websocket, Tasks), key, secret)
    services.sockets.add(session)
    try:
        await session.serve(websocket.path_params.get("task_id"))
    finally:
        services.sockets.discard(session)


class _Session:
    """One accepted socket; what it is to the rest of the server, see `service.wiring.Socket`."""

    def __init__(self, websocket: WebSocket, services: Services, tasks: Tasks, key: Key, secret: str | None) -> None:
        self._websocket = websocket
        self._services = services
        self._tasks = tasks
        self._key = key
        self._secret = secret
        self._outlet = BufferedOutlet(services.settings.event_buffer)
        self._subscribed: dict[str, str | None] = {}
        """Id of a task, there or not -> id of the job that was followed for it last."""
        self._subscriptions: dict[str, JobSubscription] = {}
        """Id of a job -> its events."""
        self._states: dict[str, TaskState] = {}
        """Id of a job -> its task, as it was told."""
        self._started: asyncio.Queue[Job] = asyncio.Queue()
        self._cancels = asyncio.Semaphore(_CANCELS_AT_ONCE)

    def __len__(self) -> int:
        return len(self._outlet)

    async def check_key(self) -> None:
        if self._secret is not None and await self._services.keys.find(self._secret) is None:
            await self.close(_REVOKED, "this API key has been revoked")

    async def close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            try:
                await self._websocket.close(code, reason)
            except (WebSocketDisconnect, RuntimeError):  # starlette's two words for: it is closed already
                logger.debug("socket.closed_already", code=code)

    async def serve(self, task_id: str | None) -> None:
        """
        Args:
            task_id: to be subscribed to from the beginning.
        """
        try:
            async with asyncio.TaskGroup() as group:
                await self._send(messages.connection_established(str(uuid.uuid4()), task_id))
                if task_id is not None:
                    await self._begin(task_id)
                helpers = [group.create_task(self._tell()), group.create_task(self._follow_started())]
                try:
                    await self._listen(group)
                finally:
                    for helper in helpers:
                        helper.cancel()
        except* WebSocketDisconnect:
            pass
        except* Lagging:
            self._services.metrics.socket_lagged()
            await self.close(_LAGGING, "too slow for the events of its tasks; come back and subscribe again")
        finally:
            self._outlet.close()
            for each in tuple(self._subscribed):
                self._leave(each)

    # ---- what it hears ---------------------------------------------------------------------------------------

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(received.get("code", 1005), received.get("reason"))
            try:
                kind, fields = messages.read(received.get("text"))
                if kind == "cancel_task":  # beside the others: it waits for the end of a step
                    task_id = _task_id(fields, "cancel")
                    await self._cancels.acquire()
                    cancel = group.create_task(self._cancel(task_id))
                    cancel.add_done_callback(lambda _task: self._cancels.release())
                else:
                    await self._answer(kind, fields)
            except NoMessage as problem:
                await self._send(messages.error(str(problem)))
            except ProtocolError as problem:
                await self._send(messages.error(problem.message))

    async def _answer(self, kind: str, fields: Mapping[str, Any]) -> None:
        match kind:
            case "ping":
                await self._send(messages.pong(fields.get("timestamp")))
            case "get_task_status":
                job = await self._tasks.find(_task_id(fields, "status request"), self._key)
                await self._send(messages.status_reply(TaskState.of(job)))
            case "subscribe_task":
                await self._subscribe(_task_id(fields, "subscription"))
            case "unsubscribe_task":
                task_id = _task_id(fields, "unsubscription")
                self._leave(task_id)
                await self._send(messages.task_unsubscribed(task_id))
            case _:
                raise NoMessage(f"Unknown message type: {kind:.80}")

    async def _subscribe(self, task_id: str) -> None:
        if len(self._subscribed) >= _MOST_TASKS and task_id not in self._subscribed:
            raise NoMessage(f"At most {_MOST_TASKS} tasks can be subscribed to")
        job = await self._watch(task_id)
        await self._send(messages.task_subscribed(task_id))
        if job is not None:
            await self._send(messages.snapshot(TaskState.of(job)))
            await self._follow(job)

    async def _begin(self, task_id: str) -> None:
        """Subscribe to the task in the path, if it is there, and say where it stands, or how it ended."""
        job = await self._watch(task_id)
        if job is None:
            return
        state = TaskState.of(job)
        await self._send(messages.progress_update(state))
        if state.status.is_final:
            await self._send(messages.ended(state))
        await self._follow(job)

    async def _watch(self, task_id: str) -> Job | None:
        """Hear of it if a task is started under this id; the job of the one there is already."""
        # Before the looking: what is started in between is then heard of twice, instead of never.
        self._subscribed.setdefault(task_id, None)
        self._tasks.watch(task_id, self._key, self._started.put_nowait)
        try:
            job = await self._tasks.find(task_id, self._key)
        except ProtocolError as error:
            if status_of(error) != _NOT_FOUND:
                raise
            return None
        self._subscribed[task_id] = job.id
        return job

    async def _cancel(self, task_id: str) -> None:
        try:
            if not self._key.allows(Scope.JOBS_WRITE):
                raise ProtocolError(ErrorCode.FORBIDDEN, "this API key may only read")
            state = await self._tasks.cancel(task_id, self._key)
        except ProtocolError as error:
            why = "task not found" if status_of(error) == _NOT_FOUND else error.message
            await self._send(messages.cancel_failed(f"Failed to cancel task {task_id:.160} - {why}"))
        else:
            if task_id not in self._subscribed and state.status.is_final:  # who is subscribed hears it anyway
                await self._send(messages.ended(state))

    # ---- what it tells ---------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            for event in await self._outlet.take():
                await self._told(event)

    async def _told(self, event: Event) -> None:
        before = self._states.get(event.job_id or "")
        if before is None:  # unsubscribed meanwhile
            return
        state = before.after(event)
        if state == before:
            return
        self._states[before.job_id] = state
        if not state.status.is_final or state.status is TaskStatus.COMPLETED:
            await self._send(messages.progress_update(state))
        if state.status.is_final:
            await self._send(messages.ended(state))
            self._forget(before.job_id)

    async def _follow_started(self) -> None:
        """Follow the tasks that are started under ids that have been subscribed to."""
        while True:
            job = await self._started.get()
            task_id = job.labels["foreign_id"]
            if task_id in self._subscribed and self._subscribed[task_id] != job.id:
                self._subscribed[task_id] = job.id
                await self._follow(job)

    async def _follow(self, job: Job) -> None:
        """Hear of a job from where it stands: what `TaskState.of` says of it is not told again."""
        if job.status.is_terminal:
            return
        self._forget(job.id)
        self._states[job.id] = TaskState.of(job)
        try:
            subscription = await self._services.feeds.follow_job(job.id, self._key.visible, job.seq, self._outlet)
        except ProtocolError:  # it has ended long ago, and was removed meanwhile
            self._forget(job.id)
            return
        if job.id in self._states:
            self._subscriptions[job.id] = subscription
        else:
            subscription.close()

    def _leave(self, task_id: str) -> None:
        self._subscribed.pop(task_id, None)
        self._tasks.leave(task_id, self._key, self._started.put_nowait)
        for job_id in [job_id for job_id, state in self._states.items() if state.task_id == task_id]:
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        self._states.pop(job_id, None)
        subscription = self._subscriptions.pop(job_id, None)
        if subscription is not None:
            subscription.close()

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            await self._websocket.send_text(orjson.dumps(message).decode())
        except RuntimeError:  # closed by this side, for another reason
            raise WebSocketDisconnect(1006) from None


def _task_id(fields: Mapping[str, Any], what: str) -> str:
    """
    Raises:
        NoMessage: there is none.
    """
    task_id = fields.get("task_id")
    if not isinstance(task_id, str) or not task_id:
        raise NoMessage(f"task_id is required for {what}")
    return task_id
