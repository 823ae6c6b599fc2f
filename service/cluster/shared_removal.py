"""Takes ended jobs away from all machines of a cluster."""

from collections.abc import Sequence

from service.clock import timestamp
from service.cluster.envelope import RemovedNote
from service.cluster.fact_writer import FactWriter
from service.cluster.follower import Follower
from service.cluster.shared_files import SharedFiles
from service.cluster.stream_log import WRITE_S
from service.job_views import EndedJob


class SharedRemoval:
    """Implements `service.removal.Removing`. For the event loop only.

    The note goes first: every gateway takes the job out of its database then, and tells its viewers. What is left when
    this breaks off, facts in the stream and objects in the store, belongs to no job any more.
    """

    def __init__(self, writer: FactWriter, follower: Follower, files: SharedFiles) -> None:
        self._writer = writer
        self._follower = follower
        self._files = files

    async def remove(self, jobs: Sequence[EndedJob], reason: str) -> None:
        """
        Raises:
            Unavailable, StoreAway: some are left.
        """
        for job in jobs:
            last = await self._writer.last(job.id)
            note = RemovedNote(
                job_id=job.id,
                key_id=job.key_id,
                at=timestamp(),
                reason=reason,
                last=last.sequence if last is not None else 0,
            )
            place = await self._writer.note(note, within_s=WRITE_S)
            await self._writer.purge(job.id)
            await self._files.remove_shared_job(job.id)
            await self._follower.reaches(place)
