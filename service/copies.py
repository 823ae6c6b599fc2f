"""Between the engine and the broker: has outputs stored elsewhere before anybody is told that they are ready.

While an output of a job is on its way, the facts of that job wait, in order; hints pass, and so does every other job.
An output that cannot be stored is told of all the same, after a `job.warning`: it is on this server.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import structlog

from protocol.events import FACTS, JobWarning, OutputReady
from service.broker import Doer
from service.database import StoreUnavailable
from service.drafts import Draft
from service.files import Files
from service.object_store import NotStored, Storing
from service.storage import StoragePlace

logger = structlog.get_logger(__name__)

LabelsOf: TypeAlias = Callable[[str], Awaitable[Mapping[str, str] | None]]
_Copying: TypeAlias = asyncio.Task[Sequence[Draft]]
WARNING: Final = "storage_failed"
_AT_ONCE: Final = 16
"""Each holds its file in memory; a store that is away must not gather them there."""


class Copies:
    """Passes on what the engine tells. For the event loop only.

    Args:
        labels_of: reads the labels of a job; None if there is none.
        place: where outputs are stored beside this server; None for nowhere.
        storing: does it; needed with a place.
    """

    def __init__(
        self, broker: Doer, labels_of: LabelsOf, files: Files, *, place: StoragePlace | None, storing: Storing | None
    ) -> None:
        self._broker = broker
        self._labels_of = labels_of
        self._files = files
        self._place = place
        self._storing = storing
        self._group: asyncio.TaskGroup | None = None
        self._held: dict[str, deque[_Copying | Draft]] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        self._deadlines: set[asyncio.Timeout] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.on_result: Callable[[str], None] = lambda _result: None
        """Told of every output that was to be stored: `stored` or `failed`."""

    async def run(self) -> None:
        """Own the uploads until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None  # what an engine that was left behind still tells goes its own way

    def take(self, drafts: Iterable[Draft]) -> None:
        """Take what the engine told; returns at once."""
        if self._storing is None or self._group is None:
            self._broker.publish(drafts)
            return
        passed = []
        for draft in drafts:
            job_id = draft.job_id
            if job_id is None or not isinstance(draft.body, FACTS):
                passed.append(draft)
            elif isinstance(draft.body, OutputReady):
                copying = self._group.create_task(self._copied(draft, draft.body, job_id), name=f"storing of {job_id}")
                self._hold(self._group, job_id, copying)
            elif job_id in self._held:
                self._held[job_id].append(draft)
            else:
                passed.append(draft)
        self._broker.publish(passed)

    async def settle(self, timeout_s: float) -> None:
        """Wait until all that was taken is passed on; what is not stored after `timeout_s` is told of as not stored."""
        if not self._releasing:
            return
        await asyncio.wait(self._releasing, timeout=timeout_s)
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            deadline.reschedule(now)
        if self._releasing:
            await asyncio.wait(self._releasing)

    def _hold(self, group: asyncio.TaskGroup, job_id: str, copying: _Copying) -> None:
        held = self._held.get(job_id)
        if held is not None:
            held.append(copying)
            return
        held = self._held[job_id] = deque([copying])
        releasing = group.create_task(self._release(job_id, held), name=f"facts of {job_id}")
        self._releasing.add(releasing)
        releasing.add_done_callback(self._releasing.discard)

    async def _release(self, job_id: str, held: deque[_Copying | Draft]) -> None:
        while held:
            first = held[0]
            drafts = [first] if isinstance(first, Draft) else await first
            held.popleft()
            self._broker.publish(drafts)
        del self._held[job_id]

    async def _copied(self, draft: Draft, output: OutputReady, job_id: str) -> Sequence[Draft]:
        """What is told of an output once it is stored, or cannot be."""
        assert self._place is not None
        assert self._storing is not None
        path = self._files.output(job_id, output.index, output.media_type, output.sha256)
        log = logger.bind(job_id=job_id, index=output.index, place=str(self._place))
        try:
            async with asyncio.timeout(self._place.timeout_s) as deadline:
                self._deadlines.add(deadline)
                try:
                    if not await self._is_wanted(job_id):
                        return [draft]
                    async with self._turns:
                        name = f"{job_id}-{output.index}{path.suffix}"
                        url = await self._storing.put(name, path, output.media_type)
                finally:
                    self._deadlines.discard(deadline)
        except (NotStored, StoreUnavailable) as error:
            reason = str(error)
        except TimeoutError:
            reason = "nobody answered in time"
        except Exception as error:  # noqa: BLE001 - whatever it is: the facts behind this one have to be told
            reason = f"{type(error).__name__}: {error}"
        else:
            self.on_result("stored")
            return [replace(draft, body=replace(output, public_url=url))]
        self.on_result("failed")
        log.warning("storage.failed", reason=reason)
        # The reason is the operator's business: it names hosts and buckets.
        where = "it can be had from the server itself"
        message = f"output {output.index} could not be copied to the server's object store; {where}"
        return [Draft(JobWarning(code=WARNING, message=message), job_id, draft.attempt), draft]

    async def _is_wanted(self, job_id: str) -> bool:
        assert self._place is not None
        if not self._place.dialects:
            return True
        labels = await self._labels_of(job_id)
        return labels is not None and labels.get("dialect") in self._place.dialects
