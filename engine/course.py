"""The course of a live job: opened, resumed with what its call came back with, and again, to its end.

A job that raises fails alone, and so does one whose call spoils a group. A call that ran out of memory has its job
resumed with that, once caches were freed, so that it goes on with a smaller one.
"""

from typing import Final

import structlog

from engine.backend import Backend
from engine.calls import Calls
from engine.ends import Ends
from engine.interface import Done, ImageSkipped, OutOfMemory, Where
from engine.live import Live, Outcome
from engine.live_set import LiveSet
from engine.relief import Relief

logger = structlog.get_logger(__name__)

_MOST_RETRIES: Final = 4
"""Calls of one job that may run out of memory in a row, each smaller than the one before."""


class Course:
    """Takes live jobs from call to call. For the executor thread."""

    def __init__(self, backend: Backend, jobs: LiveSet, calls: Calls, ends: Ends, relief: Relief) -> None:
        self._backend = backend
        self._jobs = jobs
        self._calls = calls
        self._ends = ends
        self._relief = relief

    def begin(self, live: Live) -> None:
        """Open a job, and let it come to its first call."""
        try:
            live.job = self._backend.open(live.run, live.context)
        except BaseException as error:  # noqa: BLE001 - a raising job fails alone
            self._ends.fail(live, error)
            return
        self._resume(live, Outcome())

    def run_on_device(self, first: Live) -> None:
        """Run the call of `first`, as one with those that can be, and let these jobs go on."""
        together = self._jobs.group_of(first)
        outcomes = self._calls.run_on_device(together)
        for live, outcome in zip(together, outcomes, strict=True):
            if len(together) > 1 and outcome.error is not None:
                self._leave_group(live, outcome.error)
            else:
                self._go_on(live, outcome)

    def _leave_group(self, live: Live, error: BaseException) -> None:
        """One call spoils a group for the others: each runs again, alone, when its turn comes, and fails alone."""
        if live.context.has_ended:
            self._ends.close(live)
            return
        if self._relief.is_out_of_memory(error):
            self._relief.free_after(error)
        live.runs_alone = True

    def _go_on(self, live: Live, outcome: Outcome) -> None:
        """Hand a job what its call came back with, unless it has been ended meanwhile."""
        if live.context.has_ended:
            self._ends.close(live)
        elif outcome.error is None or not self._relief.is_out_of_memory(outcome.error):
            live.retries = 0
            self._resume(live, outcome)
        else:
            self._go_on_smaller(live, outcome.error)

    def _go_on_smaller(self, live: Live, error: BaseException) -> None:
        self._relief.free_after(error)
        live.retries += 1
        logger.warning("call.out_of_memory", job_id=live.run.job_id, task=live.run.task, retries=live.retries)
        if live.retries > _MOST_RETRIES:
            self._ends.fail(live, error)
        else:
            self._resume(live, Outcome(error=OutOfMemory(str(error))))

    def _resume(self, live: Live, outcome: Outcome) -> None:
        """Let a job go on to its next call, or to its end."""
        assert live.job is not None
        live.call = None
        live.runs_alone = False
        if live.is_to_skip and live.context.is_at_image and outcome.error is None:
            live.is_to_skip = False
            outcome = Outcome(error=ImageSkipped())
        try:
            call = live.job.resume(outcome.value, outcome.error)
        except BaseException as error:  # noqa: BLE001 - a raising job fails alone
            live.job = None
            self._ends.fail(live, error)
            return
        if isinstance(call, Done):
            live.job = None
            self._ends.succeed(live)
            return
        live.call = call
        if call.where is Where.POOL:
            self._calls.begin_in_pool(live, call, self._go_on)
        elif call.where is Where.OUTSIDE:
            self._calls.begin_outside(live, call, self._go_on)
