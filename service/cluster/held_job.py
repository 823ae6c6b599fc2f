"""A job that this worker has claimed, and what is still to be told of it, in order."""

import asyncio
from collections import deque
from collections.abc import Mapping

from protocol.events import FACTS
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
        self._untold: deque[Draft] = deque()
        self._arrived = asyncio.Event()

    @property
    def is_untold(self) -> bool:
        return bool(self._untold)

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
        self._arrived.set()

    async def next(self) -> Draft:
        """What is to be told next; it stays until `told`."""
        while not self._untold:
            self._arrived.clear()
            await self._arrived.wait()
        return self._untold[0]

    def told(self, draft: Draft) -> None:
        """It was told, or is not to be."""
        if draft in self._untold:
            self._untold.remove(draft)
