"""A job that this worker has claimed, and what is still to be told of it, in order."""

import asyncio
from collections import deque
from collections.abc import Mapping

from protocol.events import FACTS, TERMINAL_FACTS, EventBody, JobRequeued
from service.cluster.delivery import Delivery
from service.drafts import Draft
from service.records import JobRecord


class HeldJob:
    """See the module. For the event loop only.

    Args:
        sequence: the place of its last fact in the stream.
    """

    def __init__(self, record: JobRecord, delivery: Delivery, sequence: int, labels: Mapping[str, str]) -> None:
        self.record = record
        self.labels = labels
        self.delivery = delivery
        """What is beaten, and ended, at NATS."""
        self.attempt = record.attempt
        self.sequence = sequence
        self.has_ended = False
        """Whether the engine is through with it, as far as it has told, or never had it."""
        self._untold: deque[Draft] = deque()
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._is_left = False

    def tell(self, draft: Draft) -> None:
        """Put something behind what is to be told. A hint takes the place of an older one of its type."""
        if not isinstance(draft.body, FACTS):
            # NATS may be away: what is kept for it must not grow with every step.
            for older in reversed(self._untold):
                if isinstance(older.body, FACTS):
                    break
                if type(older.body) is type(draft.body):
                    self._untold.remove(older)
                    break
        self._untold.append(draft)
        self.has_ended = self.has_ended or is_end(draft.body)
        self._settled.clear()
        self._arrived.set()

    def tell_instead(self, draft: Draft) -> None:
        """Tell this in place of all that has not been told."""
        self._untold.clear()
        self.tell(draft)

    async def next(self) -> Draft | None:
        """What is to be told next, it stays until `told`; None once the job is no longer ours."""
        while not self._untold and not self._is_left:
            self._arrived.clear()
            await self._arrived.wait()
        return None if self._is_left else self._untold[0]

    def told(self, draft: Draft) -> None:
        """It was told, or is not to be."""
        if self._untold and self._untold[0] is draft:  # else a newer hint has taken its place
            self._untold.popleft()
        if not self._untold:
            self._settled.set()

    def leave(self) -> None:
        """The job is no longer ours: nothing more is told of it."""
        self._is_left = True
        self._arrived.set()
        self._settled.set()

    async def settled(self) -> None:
        """Wait until all that was to be told is told."""
        await self._settled.wait()


def is_end(body: EventBody | None) -> bool:
    """Whether the engine is through with a job, or with this attempt at it."""
    return isinstance(body, (JobRequeued, *TERMINAL_FACTS))
