"""The hints of the jobs of a worker, told by core NATS to whichever gateways listen, and kept nowhere else."""

import contextlib

from protocol.codec import MSGPACK
from protocol.events import Event
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.names import Names


class HintTeller:
    """Tells each hint on a subject of its job, and keeps the newest of each type for who comes later.

    For the event loop only.
    """

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._newest: dict[str, dict[str, Event]] = {}
        self._keys: dict[str, str] = {}

    async def tell(self, event: Event, key_id: str) -> None:
        """Tell a hint to whoever looks. While NATS is away it is gone: a newer one will come."""
        assert event.job_id is not None
        self._newest.setdefault(event.job_id, {})[event.type] = event
        self._keys[event.job_id] = key_id
        await self._publish(event, event.job_id, key_id)

    async def show(self, job_id: str) -> None:
        """Tell the newest hints of a job again."""
        key_id = self._keys.get(job_id, "")  # the job may end meanwhile
        for event in sorted(self._newest.get(job_id, {}).values(), key=lambda hint: hint.n or 0):
            await self._publish(event, job_id, key_id)

    async def show_all(self) -> None:
        """Tell the newest hints of all jobs again."""
        for job_id in list(self._newest):
            await self.show(job_id)

    def forget(self, job_id: str) -> None:
        """The job, or this attempt at it, is over."""
        self._newest.pop(job_id, None)
        self._keys.pop(job_id, None)

    async def _publish(self, event: Event, job_id: str, key_id: str) -> None:
        if self._connection.is_connected:
            with contextlib.suppress(Unavailable), asking("hints"):
                subject = self._names.hints(key_id, job_id)
                await self._connection.nats.publish(subject, MSGPACK.event_frame(event))
