"""The live jobs, and the choice between them: whose call the device runs next, and whose with it.

Interactive ones first, then by priority, then those of the key that has had the device least, then by age.
"""

from engine.fair_share import FairShare
from engine.hold import DeviceHold
from engine.interface import Where
from engine.live import Live


class LiveSet:
    """The jobs an executor holds. For the executor thread, but where it says so.

    Args:
        most_hold_s: for how long batch work waits for interactive work in the side pool; see `engine.hold`.
    """

    def __init__(self, most_hold_s: float) -> None:
        self._live: dict[str, Live] = {}
        self._shares = FairShare()
        self._hold = DeviceHold(most_hold_s)

    def add(self, live: Live) -> None:
        self._live[live.run.job_id] = live
        self._shares.enter(live.run.order.share)

    def remove(self, live: Live) -> bool:
        """Returns False if it was not there any more; another attempt at the same job is another live job."""
        if self._live.get(live.run.job_id) is not live:
            return False
        del self._live[live.run.job_id]
        self._shares.leave(live.run.order.share)
        return True

    def find(self, job_id: str) -> Live | None:
        return self._live.get(job_id)

    def all(self) -> list[Live]:
        """The jobs as they are now. From any thread."""
        return list(self._live.values())

    def spent(self, live: Live, seconds: float) -> None:
        """This job had the device for so long."""
        self._shares.spent(live.run.order.share, seconds)

    def next(self) -> Live | None:
        """Whose call the device runs next; None if it has to wait.

        A batch call is not begun while interactive work is in the side pool: see `engine.hold`.
        """
        ready = [live for live in self._live.values() if live.is_ready]
        first = min(ready, key=self._rank, default=None)
        is_batch = first is not None and first.run.order.is_batch
        return None if self._hold.wanted(is_batch and self._is_urgent_work_coming()) else first

    @property
    def ask_again_s(self) -> float | None:
        """After how many seconds `next` may answer otherwise though nothing has happened; None if it will not."""
        return self._hold.left_s

    def group_of(self, first: Live) -> list[Live]:
        """The jobs whose waiting calls can run as one with that of `first`, itself among them, most urgent first."""
        if first.call is None or first.call.group is None or first.runs_alone:
            return [first]
        group = first.call.group
        same = [
            live
            for live in self._live.values()
            if live.call is not None and live.is_ready and not live.runs_alone and live.call.group == group
        ]
        same.sort(key=self._rank)
        return same[: max(1, group.limit)]

    def _rank(self, live: Live) -> tuple[bool, int, float, int]:
        order = live.run.order
        return (order.is_batch, order.priority, self._shares.clock_s(order.share), order.turn)

    def _is_urgent_work_coming(self) -> bool:
        return any(
            live.call is not None and live.call.where is Where.POOL
            for live in self._live.values()
            if not live.run.order.is_batch
        )
