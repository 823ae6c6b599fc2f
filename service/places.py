"""Places in the queue: how many jobs may wait, of all keys together and of each, and who has been promised one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from protocol.errors import ErrorCode
from protocol.requests import TASKS
from service.admission import Admission
from service.broker import Taker
from service.errors import ServiceError

_RETRY_AFTER_S: Final = 5.0
_MOST_RETRY_AFTER_S: Final = 600.0


class Places:
    """See the module. For the event loop only.

    Args:
        most: jobs that may wait.
        most_of_key: jobs of one key that may.
    """

    def __init__(self, admission: Admission, broker: Taker, *, most: int, most_of_key: int) -> None:
        self._admission = admission
        self._broker = broker
        self._most = most
        self._most_of_key = most_of_key

    def hold(self, job_id: str, key_id: str) -> None:
        """Promise a place: many that are being accepted at once fill the queue as those that wait do.

        Raises:
            ServiceError: `queue_full`.
        """
        self._check(self._admission.taken, self._admission.taken_by_key(key_id))
        self._admission.reserve(job_id, key_id)

    def release(self, job_id: str) -> None:
        """The job waits now, or will not."""
        self._admission.release(job_id)

    @asynccontextmanager
    async def taken(self, key_id: str) -> AsyncIterator[None]:
        """Within it a job that has been promised a place takes it.

        Where others accept jobs too, and there are few places left, it is waited for until all that they have accepted
        is known, and they wait until this one is.

        Raises:
            ServiceError: `queue_full`: the last place is somebody else's.
            StoreUnavailable: it cannot be said.
        """
        unseen = self._broker.unseen_jobs
        if self._admission.taken - 1 + unseen < self._most:
            if self._admission.taken_by_key(key_id) - 1 + unseen < self._most_of_key:
                yield
                return
            whose = key_id
        else:
            whose = None
        async with self._broker.alone(whose):
            self._check(self._admission.taken - 1, self._admission.taken_by_key(key_id) - 1)
            yield

    def _check(self, waiting: int, of_key: int) -> None:
        if waiting >= self._most:
            message = f"the queue is full: {waiting} jobs wait"
        elif of_key >= self._most_of_key:
            message = f"the queue of this key is full: {of_key} jobs wait"
        else:
            return
        mean_s = min((mean for task in TASKS if (mean := self._admission.mean_s(task))), default=_RETRY_AFTER_S)
        raise ServiceError(ErrorCode.QUEUE_FULL, message, retry_after_s=min(_MOST_RETRY_AFTER_S, max(1.0, mean_s)))
