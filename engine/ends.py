"""How live jobs end, and what is cleared up after each.

The end of a job is told through its context, from whichever thread comes first; the job itself is let go of on the
executor thread, between two calls.
"""

from collections.abc import Callable

import structlog

from engine.interface import EngineError, JobClosed, OutOfMemory, Run
from engine.live import Live
from engine.live_set import LiveSet
from engine.relief import Relief
from engine.room import Room
from protocol.errors import ErrorBody, ErrorCode
from protocol.events import EventBody, JobCancelled, JobFailed, JobRequeued, JobSucceeded

logger = structlog.get_logger(__name__)


class Ends:
    """Ends live jobs. For the executor thread, but where it says so.

    Args:
        room: what a job took is given back here.
        on_change: called once a job has made room.
    """

    def __init__(self, jobs: LiveSet, room: Room, relief: Relief, on_change: Callable[[], None]) -> None:
        self._jobs = jobs
        self._room = room
        self._relief = relief
        self._on_change = on_change

    def succeed(self, live: Live) -> None:
        timings = {stage: round(seconds, 4) for stage, seconds in live.timings.items()}
        self._end(live, JobSucceeded(duration_s=live.duration_s, timings=timings))

    def fail(self, live: Live, error: BaseException) -> None:
        """End a job with what it, or its call, raised."""
        self._end(live, JobFailed(error=self._explain(live, error), duration_s=live.duration_s))

    def cancel(self, job_id: str, reason: str) -> None:
        """End a job that is not wanted any more; one that is not live is no error."""
        live = self._jobs.find(job_id)
        if live is not None:
            self._end(live, JobCancelled(reason=reason, duration_s=live.duration_s))

    def hand_back_all(self) -> None:
        """End every live job, to be begun again elsewhere or later."""
        for live in self._jobs.all():
            self._end(live, _handed_back(live.run))

    def tell_handed_back(self) -> None:
        """Tell of every live job that it is handed back; none is closed. From any thread."""
        for live in self._jobs.all():
            live.context.end(_handed_back(live.run))

    def tell_late(self, live: Live, message: str) -> None:
        """Tell that a job has failed because its call takes too long; it is not closed. From any thread."""
        error = ErrorBody(code=ErrorCode.STEP_TIMEOUT, message=message)
        live.context.end(JobFailed(error=error, duration_s=live.duration_s))

    def close(self, live: Live) -> None:
        """Let go of a job whose end was told; one suspended in a call runs its own clean-up now."""
        if not self._jobs.remove(live):
            return
        job, live.job, live.call = live.job, None, None
        if job is not None:
            try:
                job.resume(error=JobClosed())
            except JobClosed:
                pass
            except BaseException:  # its clean-up failed; the job has ended all the same
                logger.exception("job.close_failed", job_id=live.run.job_id, task=live.run.task)
        self._room.give_back(live.bytes, is_batch=live.run.order.is_batch)
        self._on_change()

    def _end(self, live: Live, body: EventBody) -> None:
        live.context.end(body)
        self.close(live)

    def _explain(self, live: Live, error: BaseException) -> ErrorBody:
        if isinstance(error, EngineError):
            return ErrorBody(code=error.code, message=error.message)
        logger.error("job.raised", job_id=live.run.job_id, task=live.run.task, exc_info=error)
        if isinstance(error, OutOfMemory) or self._relief.is_out_of_memory(error):
            message = "the device ran out of memory, also after its caches were freed; try a smaller picture or tile"
            return ErrorBody(code=ErrorCode.OUT_OF_MEMORY, message=message)
        return ErrorBody(code=ErrorCode.STEP_FAILED, message=f"{type(error).__name__}: {error}")


def _handed_back(run: Run) -> JobRequeued:
    return JobRequeued(attempt=run.attempt + 1, reason="shutdown")
