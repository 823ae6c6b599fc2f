"""Running the calls of live jobs, on the device and in the side pool, each under the eye of the watchdog.

A watchdog reports a call that outlives its deadline: it cannot be killed, so its job is failed, and the engine says
that it is stuck until the call comes back. A thread of the side pool is replaced.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from engine.ends import Ends
from engine.inbox import Inbox
from engine.interface import Call, Where
from engine.interface.engine import EngineStatus
from engine.live import Live, Outcome, run_alone, run_as_one
from engine.live_set import LiveSet
from engine.pool import SidePool
from engine.status_book import StatusBook
from engine.watchdog import Watchdog, Watched

logger = structlog.get_logger(__name__)


class _Running(NamedTuple):
    live: Live
    call: Call


class Calls:
    """Runs calls. For the executor thread, but where it says so.

    Args:
        jobs: are told what time each job had the device.
        inbox: by which calls come back from the side pool.
        ends: of jobs whose call is late.
        status: says so while a late call has the device.
        deadline_s: of a call that brings none.
        on_change: called when a late call takes the device away, and when it comes back.
    """

    def __init__(
        self,
        jobs: LiveSet,
        pool: SidePool,
        inbox: Inbox,
        ends: Ends,
        status: StatusBook,
        *,
        deadline_s: float,
        on_change: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._pool = pool
        self._inbox = inbox
        self._ends = ends
        self._status = status
        self._deadline_s = deadline_s
        self._on_change = on_change
        self._watchdog: Watchdog[_Running] = Watchdog(self._report_late)

    def start(self) -> None:
        """Begin to watch."""
        self._watchdog.start()

    def stop(self) -> None:
        """Report no more calls. From any thread."""
        self._watchdog.stop()

    def run_on_device(self, together: Sequence[Live]) -> list[Outcome]:
        """Run the waiting call of one job, or those of one group as one; outcomes in the same order."""
        calls = [live.call for live in together if live.call is not None]
        started_at = time.monotonic()
        watched = [self._watch(live, call) for live, call in zip(together, calls, strict=True)]
        outcomes = [run_alone(calls[0])] if len(calls) == 1 else run_as_one(calls)
        were_late = [self._watchdog.end(each) for each in watched]
        if any(were_late):
            self._status.change(EngineStatus.READY)
            logger.warning("engine.recovered")
            self._on_change()
        seconds = time.monotonic() - started_at
        for live, call in zip(together, calls, strict=True):
            live.account(call, seconds)
            self._jobs.spent(live, seconds / len(together))
        return outcomes

    def begin_in_pool(self, live: Live, call: Call, then: Callable[[Live, Outcome], None]) -> None:
        """Run a call in the side pool when its turn comes there.

        Args:
            then: called with what it came back with, on the executor thread; not at all if the job ends before the
                call begins.
        """
        self._pool.submit(live.run.order, partial(self._run_in_pool, live, call, then))

    def begin_outside(self, live: Live, call: Call, then: Callable[[Live, Outcome], None]) -> None:
        """Run a call on a thread of its own, at once; otherwise as `begin_in_pool`."""
        work = partial(self._run_in_pool, live, call, then)
        threading.Thread(target=work, name="safelight-outside", daemon=True).start()

    def _run_in_pool(self, live: Live, call: Call, then: Callable[[Live, Outcome], None]) -> None:
        """On a side-pool thread, or one of its own."""
        if live.context.has_ended:
            return
        # Its deadline runs from here, not from when it began to wait.
        watched = self._watch(live, call)
        started_at = time.monotonic()
        outcome = run_alone(call)
        self._watchdog.end(watched)
        seconds = time.monotonic() - started_at

        def come_back() -> None:
            live.account(call, seconds)
            then(live, outcome)

        self._inbox.post(come_back)

    def _watch(self, live: Live, call: Call) -> Watched[_Running]:
        return self._watchdog.begin(_Running(live, call), call.stage, call.deadline_s or self._deadline_s)

    def _report_late(self, watched: Watched[_Running]) -> None:
        """On the watchdog's thread, while the call is running."""
        live, call = watched.owner
        run = live.run
        message = f"{watched.stage}: expected to take at most {watched.limit_s:g} s, and is still running"
        logger.error("call.late", job_id=run.job_id, task=run.task, stage=watched.stage, limit_s=watched.limit_s)
        self._ends.tell_late(live, message)
        if call.where is Where.DEVICE:
            self._status.change(EngineStatus.STUCK, f"{run.task}: {message}")
            self._on_change()
        else:
            self._pool.replace(watched.thread)
            self._inbox.post(partial(self._ends.close, live))
