"""Asking the worker that runs a job to end it: an entry in the bucket `cancels`, which goes by itself in an hour."""

from collections.abc import Callable, Mapping

from service.cluster.connection import Connection
from service.cluster.kv import Bucket, Entry
from service.cluster.watch import Watch


class Cancels:
    """Where cancelling is asked for, and whoever takes a job up looks. All methods raise `Unavailable`.

    Args:
        bucket: `cancels`.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def ask(self, job_id: str, reason: str) -> None:
        """Ask that a job end. The first reason counts."""
        await self._bucket.create(job_id, reason.encode())

    async def asked(self, job_id: str) -> str | None:
        """The reason a job is asked to end for; None if it is not."""
        entry = await self._bucket.get(job_id)
        return _reason(entry) if entry is not None else None

    async def forget(self, job_id: str) -> None:
        """The job has ended."""
        if await self._bucket.get(job_id) is not None:
            await self._bucket.delete(job_id)


class CancelWatch(Cancels):
    """A worker's side: is told of each job that is asked to end.

    Args:
        bucket: `cancels`.
        on_cancel: told the job's id and the reason, of whichever job; more than once when the connection broke.
    """

    def __init__(self, connection: Connection, bucket: Bucket, on_cancel: Callable[[str, str], None]) -> None:
        super().__init__(bucket)
        self._on_cancel = on_cancel
        self._watch = Watch(connection, bucket, on_all=self._begin, on_entry=self._hear)

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._watch.run()

    async def until_current(self) -> None:
        """Wait until it listens, and was told of all that were asked for before."""
        await self._watch.until_current()

    def _begin(self, entries: Mapping[str, Entry]) -> None:
        for entry in entries.values():
            self._hear(entry)

    def _hear(self, entry: Entry) -> None:
        self._on_cancel(entry.key, _reason(entry))


def _reason(entry: Entry) -> str:
    return entry.value.decode("utf-8", "replace")
