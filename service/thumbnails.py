"""Outputs made small, for listings: kept in memory for as long as there is room, and gone with their job.

In memory and not on the disk: a client keeps what it was sent for good (a thumbnail never changes, and says so), so one
is asked for again only by other viewers, mostly soon; it is made anew in tens of milliseconds; and what is not written
needs no cleaning up after a crash.
"""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from service.conversion import converted

_ROOM_BYTES: Final = 64 << 20
"""Some thousands of usual size."""
_AT_ONCE: Final = 2
"""Each decodes a whole picture: more would only take memory and the cores that others need."""
_QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thumbnail.

    Attributes:
        media_type: one of `service.conversion.PICTURES`.
        max_side_px: its longest side; a smaller picture stays as large as it is.
    """

    job_id: str
    index: int
    media_type: str
    max_side_px: int


class Thumbnails:
    """The thumbnails of one server. For the event loop only.

    Args:
        room_bytes: for all of them together; what was not asked for longest goes first.
    """

    def __init__(self, room_bytes: int = _ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._kept: OrderedDict[Wanted, bytes] = OrderedDict()
        self._of_job: defaultdict[str, set[Wanted]] = defaultdict(set)
        self._size_bytes = 0
        self._removals = 0
        self._making = anyio.CapacityLimiter(_AT_ONCE)

    @property
    def size_bytes(self) -> int:
        """Of all that is kept."""
        return self._size_bytes

    def found(self, wanted: Wanted) -> bytes | None:
        """A thumbnail that is kept; None if it has to be made."""
        found = self._kept.get(wanted)
        if found is not None:
            self._kept.move_to_end(wanted)
        return found

    async def get(self, wanted: Wanted, path: Path) -> bytes:
        """A thumbnail, made now if it is not there.

        Args:
            path: of the picture.

        Raises:
            FileNotFoundError: the picture is gone.
        """
        if (found := self.found(wanted)) is not None:
            return found
        removals = self._removals
        async with self._making:
            if (found := self.found(wanted)) is not None:  # made for somebody else meanwhile
                return found
            content = await anyio.to_thread.run_sync(
                lambda: converted(path, wanted.media_type, longest_px=wanted.max_side_px, quality=_QUALITY)
            )
        if removals == self._removals:  # else it may be of a job that has just been removed
            self._keep(wanted, content)
        return content

    def remove(self, job_id: str) -> None:
        """Forget those of one job."""
        self._removals += 1
        for wanted in self._of_job.pop(job_id, ()):
            self._size_bytes -= len(self._kept.pop(wanted))

    def _keep(self, wanted: Wanted, content: bytes) -> None:
        self._size_bytes += len(content) - len(self._kept.get(wanted, b""))
        self._kept[wanted] = content
        self._kept.move_to_end(wanted)
        self._of_job[wanted.job_id].add(wanted)
        while self._size_bytes > self._room_bytes:
            oldest, dropped = self._kept.popitem(last=False)
            self._size_bytes -= len(dropped)
            self._of_job[oldest.job_id].discard(oldest)
            if not self._of_job[oldest.job_id]:
                del self._of_job[oldest.job_id]
