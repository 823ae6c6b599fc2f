"""The thread that owns the device: holds several live jobs and decides, between calls, who goes next.

One thread runs every device call, one at a time: interactive ones first, then by priority, then those of the key that
has had the device least, then by age. Calls for the side pool run beside it. Nothing is ever interrupted inside a call:
cancel, shutdown and preemption act between calls, so a task keeps its calls short. A watchdog reports a call that
outlives its deadline: it cannot be killed, so its job is failed, and the engine says that it is stuck until the call
comes back.
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from engine.context import JobContext
from engine.fair_share import FairShare
from engine.hold import MOST_HOLD_S, DeviceHold
from engine.interface import (
    Backend,
    Call,
    Done,
    EngineError,
    EngineState,
    EngineStatus,
    EventSink,
    JobClosed,
    OutOfMemory,
    OutputStore,
    Run,
    Where,
)
from engine.live import Live, Outcome, run_alone, run_as_one
from engine.memory import estimate_bytes
from engine.pool import SidePool
from engine.rest import Rest
from engine.room import Room
from engine.watchdog import Watchdog, Watched
from protocol.errors import ErrorBody, ErrorCode
from protocol.events import EventBody, JobCancelled, JobFailed, JobRequeued, JobStarted, JobSucceeded

logger = structlog.get_logger(__name__)

_MOST_RETRIES: Final = 4
"""Calls of one job that may run out of memory in a row, each smaller than the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """How an executor behaves; the defaults suit a laptop.

    Attributes:
        worker: name told in `job.started`.
        budget_bytes: memory that live jobs may need together, by estimate; None takes what the backend suggests.
        max_live_jobs: of each class (interactive, batch), whatever their size.
        pool_threads: of the side pool, beside the one for interactive work.
        call_deadline_s: after this long a call is reported, and its job failed.
        preview_interval_s: the least time between two throttled previews of a job.
        most_hold_s: for how long batch work waits for interactive work in the side pool; see `engine.hold`.
        model_idle_s: a model nobody has used for this long leaves memory; None keeps it until others need the room.
    """

    worker: str = "local"
    budget_bytes: int | None = None
    max_live_jobs: int = 8
    pool_threads: int = 2
    call_deadline_s: float = 600.0
    preview_interval_s: float = 0.25
    most_hold_s: float = MOST_HOLD_S
    model_idle_s: float | None = None


class Executor:
    """Runs jobs on a backend. Implements `engine.interface.Engine`."""

    def __init__(self, backend: Backend, options: ExecutorOptions | None = None) -> None:
        self._backend = backend
        self._options = options or ExecutorOptions()
        # The backend's own budget is known once it is loaded.
        self._room = Room(self._options.budget_bytes or 0, self._options.max_live_jobs)
        self._pool = SidePool(self._options.pool_threads, backend.prepare_pool_thread)
        self._watchdog: Watchdog[Live] = Watchdog(self._report_late)
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._live: dict[str, Live] = {}
        self._shares = FairShare()
        self._hold = DeviceHold(self._options.most_hold_s)
        self._rest = Rest(self._options.model_idle_s)
        self._stop_asked = threading.Event()
        self._thread: threading.Thread | None = None
        # Told to other threads, and changed by several: only under `_books`.
        self._books = threading.Lock()
        self._status = EngineStatus.LOADING
        self._detail = ""
        self._device = "none"
        self._is_stopping = False

    # ---- for the event loop ----------------------------------------------------------------------------------

    def start(self, sink: EventSink, outputs: OutputStore, on_change: Callable[[], None]) -> None:
        self._sink = sink
        self._outputs = outputs
        self._on_change = on_change
        self._pool.start()
        self._watchdog.start()
        self._thread = threading.Thread(target=self._main, name="safelight-executor", daemon=True)
        self._thread.start()

    def has_room(self, run: Run) -> bool:
        with self._books:
            if self._status is not EngineStatus.READY or self._is_stopping:
                return False
        return self._room.has(self._estimate(run), is_batch=run.order.is_batch)

    def submit(self, run: Run) -> None:
        needed = self._estimate(run)
        self._room.take(needed, is_batch=run.order.is_batch)
        self._post(partial(self._open, run, needed))

    def cancel(self, job_id: str, reason: str) -> None:
        self._post(partial(self._cancel, job_id, reason))

    def state(self) -> EngineState:
        taken = self._room.taken()
        with self._books:
            return EngineState(
                status=self._status,
                device=self._device,
                live_jobs=taken.jobs,
                live_bytes=taken.bytes,
                budget_bytes=self._room.budget_bytes,
                detail=self._detail,
            )

    def resident_models(self) -> tuple[str, ...]:
        return self._backend.resident_models()

    def unload_model(self, name: str, reason: str) -> None:
        self._post(partial(self._unload_model, name, reason))

    def stop(self, timeout_s: float) -> bool:
        if self._thread is None:
            return True
        with self._books:
            self._is_stopping = True
        self._post(self._stop_asked.set)
        self._thread.join(timeout_s)
        is_left_behind = self._thread.is_alive()
        if is_left_behind:
            # What it holds is told of here. A job it has not begun was never told to have started: it just waits.
            for live in list(self._live.values()):
                live.context.end(_handed_back(live.run))
        self._watchdog.stop()
        self._pool.stop()
        return not is_left_behind

    def _post(self, message: Callable[[], None]) -> None:
        with self._wake:
            self._inbox.append(message)
            self._wake.notify()

    def _estimate(self, run: Run) -> int:
        return estimate_bytes(run.task, run.params, run.input_pixels)

    # ---- the executor thread ---------------------------------------------------------------------------------

    def _main(self) -> None:
        if not self._load():
            return
        try:
            while (live := self._wait_for_next()) is not None:
                self._run_on_device(live)
        except BaseException as error:  # a bug of ours or of the backend: say so, or everybody waits for ever
            logger.exception("executor.died")
            self._set_status(EngineStatus.FAILED, f"the executor ended with {type(error).__name__}: {error}")
        else:
            self._set_status(EngineStatus.STOPPED)
        self._hand_back()
        self._backend.close()

    def _load(self) -> bool:
        try:
            device = self._backend.load()
            budget_bytes = self._options.budget_bytes or self._backend.budget_bytes()
        except Exception as error:  # the server must go on and say why it is not ready
            logger.exception("engine.load_failed")
            self._set_status(EngineStatus.FAILED, f"the engine could not be loaded: {error}")
            return False
        self._room.budget_bytes = budget_bytes
        with self._books:
            self._device, self._status = device, EngineStatus.READY
        logger.info("engine.ready", device=device, budget_bytes=budget_bytes)
        self._on_change()
        return True

    def _set_status(self, status: EngineStatus, detail: str = "") -> None:
        with self._books:
            self._status, self._detail = status, detail

    def _wait_for_next(self) -> Live | None:
        """Hear every message, then say whose call the device runs next; None once a stop was asked for."""
        while not self._stop_asked.is_set():
            if (idle_s := self._rest.due_s()) is not None:
                self._give_back(partial(self._backend.rest, idle_s))
            with self._wake:
                while not self._inbox and not self._rest.is_due:
                    if (live := self._next_ready()) is not None:
                        return live
                    self._wake.wait(self._rest.sooner(self._hold.left_s))
                messages = list(self._inbox)
                self._inbox.clear()
            for message in messages:
                message()
        return None

    def _next_ready(self) -> Live | None:
        """Whose call the device runs next; None if it has to wait.

        A batch call is not begun while interactive work is in the side pool: see `engine.hold`.
        """
        ready = [live for live in self._live.values() if live.is_ready]
        first = min(ready, key=self._rank, default=None)
        is_batch = first is not None and first.run.order.is_batch
        return None if self._hold.wanted(is_batch and self._is_urgent_work_coming()) else first

    def _rank(self, live: Live) -> tuple[bool, int, float, int]:
        order = live.run.order
        return (order.is_batch, order.priority, self._shares.clock_s(order.share), order.turn)

    def _is_urgent_work_coming(self) -> bool:
        return any(
            live.call is not None and live.call.where is Where.POOL
            for live in self._live.values()
            if not live.run.order.is_batch
        )

    def _open(self, run: Run, needed: int) -> None:
        context = JobContext(
            run,
            self._sink,
            self._outputs,
            partial(self._pool.submit, run.order),
            preview_interval_s=self._options.preview_interval_s,
        )
        live = self._live[run.job_id] = Live(run, needed, context)
        self._shares.enter(run.order.share)
        context.emit(JobStarted(worker=self._options.worker, device=self._device, attempt=run.attempt))
        try:
            live.job = self._backend.open(run, context)
        except BaseException as error:  # noqa: BLE001 - a raising job fails alone
            self._fail(live, error)
            return
        self._resume(live, Outcome())

    def _resume(self, live: Live, outcome: Outcome) -> None:
        """Let a job go on to its next call, or to its end."""
        assert live.job is not None
        live.call = None
        live.runs_alone = False
        try:
            call = live.job.resume(outcome.value, outcome.error)
        except BaseException as error:  # noqa: BLE001 - a raising job fails alone
            live.job = None
            self._fail(live, error)
            return
        if isinstance(call, Done):
            live.job = None
            timings = {stage: round(seconds, 4) for stage, seconds in live.timings.items()}
            self._end(live, JobSucceeded(duration_s=live.duration_s, timings=timings))
            return
        live.call = call
        if call.where is Where.POOL:
            self._pool.submit(live.run.order, partial(self._run_in_pool, live, call))

    def _run_on_device(self, first: Live) -> None:
        together = self._compatible(first)
        calls = [live.call for live in together if live.call is not None]
        started_at = time.monotonic()
        watched = [self._watch(live, call) for live, call in zip(together, calls, strict=True)]
        outcomes = [run_alone(calls[0])] if len(calls) == 1 else run_as_one(calls)
        were_late = [self._watchdog.end(each) for each in watched]
        was_stuck = any(were_late)
        if was_stuck:
            self._set_status(EngineStatus.READY)
            logger.warning("engine.recovered")
        seconds = time.monotonic() - started_at
        for live, call, outcome in zip(together, calls, outcomes, strict=True):
            live.account(call, seconds)
            self._shares.spent(live.run.order.share, seconds / len(together))
            if len(together) > 1 and outcome.error is not None:
                self._leave_group(live, outcome.error)
            else:
                self._go_on(live, outcome)
        if was_stuck:
            self._on_change()

    def _compatible(self, first: Live) -> list[Live]:
        """The jobs whose waiting calls can run as one with that of `first`, most urgent first."""
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

    def _leave_group(self, live: Live, error: BaseException) -> None:
        """One call spoils a group for the others: each runs again, alone, when its turn comes, and fails alone."""
        if live.context.has_ended:
            self._close(live)
            return
        if self._is_out_of_memory(error):
            self._free_memory(error)
        live.runs_alone = True

    def _run_in_pool(self, live: Live, call: Call) -> None:
        """On a side-pool thread."""
        if live.context.has_ended:
            return
        # Its deadline runs from here, not from when it began to wait.
        watched = self._watch(live, call)
        started_at = time.monotonic()
        outcome = run_alone(call)
        self._watchdog.end(watched)
        self._post(partial(self._after_pool, live, call, outcome, time.monotonic() - started_at))

    def _after_pool(self, live: Live, call: Call, outcome: Outcome, seconds: float) -> None:
        live.account(call, seconds)
        self._go_on(live, outcome)

    def _go_on(self, live: Live, outcome: Outcome) -> None:
        """Hand a job what its call came back with, unless it has been ended meanwhile."""
        if live.context.has_ended:
            self._close(live)
        elif outcome.error is None or not self._is_out_of_memory(outcome.error):
            live.retries = 0
            self._resume(live, outcome)
        else:
            self._free_memory(outcome.error)
            live.retries += 1
            logger.warning("call.out_of_memory", job_id=live.run.job_id, task=live.run.task, retries=live.retries)
            if live.retries > _MOST_RETRIES:
                self._fail(live, outcome.error)
            else:
                self._resume(live, Outcome(error=OutOfMemory(str(outcome.error))))

    def _is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, Exception) and self._backend.is_out_of_memory(error)

    def _free_memory(self, error: BaseException) -> None:
        # The error knows where it was raised, and what the call had in hand there would outlive the freeing.
        traceback.clear_frames(error.__traceback__)
        self._give_back(self._backend.free_memory)

    def _unload_model(self, name: str, reason: str) -> None:
        self._give_back(partial(self._backend.unload_model, name, reason))

    def _give_back(self, free: Callable[[], None]) -> None:
        try:
            free()
        except Exception:  # a job that needs the memory will meet the lack of it, and fail of that
            logger.exception("engine.free_memory_failed")

    # ---- ends ------------------------------------------------------------------------------------------------

    def _cancel(self, job_id: str, reason: str) -> None:
        live = self._live.get(job_id)
        if live is not None:
            self._end(live, JobCancelled(reason=reason, duration_s=live.duration_s))

    def _fail(self, live: Live, error: BaseException) -> None:
        self._end(live, JobFailed(error=self._explain(live, error), duration_s=live.duration_s))

    def _explain(self, live: Live, error: BaseException) -> ErrorBody:
        if isinstance(error, EngineError):
            return ErrorBody(code=error.code, message=error.message)
        logger.error("job.raised", job_id=live.run.job_id, task=live.run.task, exc_info=error)
        if isinstance(error, OutOfMemory) or self._is_out_of_memory(error):
            message = "the device ran out of memory, also after its caches were freed; try a smaller picture or tile"
            return ErrorBody(code=ErrorCode.OUT_OF_MEMORY, message=message)
        return ErrorBody(code=ErrorCode.STEP_FAILED, message=f"{type(error).__name__}: {error}")

    def _end(self, live: Live, body: EventBody) -> None:
        live.context.end(body)
        self._close(live)

    def _close(self, live: Live) -> None:
        """Let go of a job that has ended; one suspended in a call runs its own clean-up now."""
        if self._live.get(live.run.job_id) is not live:
            return
        del self._live[live.run.job_id]
        self._shares.leave(live.run.order.share)
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

    def _hand_back(self) -> None:
        self._take_late_submissions()
        for live in list(self._live.values()):
            self._end(live, _handed_back(live.run))

    def _take_late_submissions(self) -> None:
        """Open what was submitted before the stop, so that it is handed back like everything else."""
        with self._wake:
            messages = [message for message in self._inbox if getattr(message, "func", None) == self._open]
            self._inbox.clear()
        for message in messages:
            message()

    # ---- calls that take too long ----------------------------------------------------------------------------

    def _watch(self, live: Live, call: Call) -> Watched[Live]:
        return self._watchdog.begin(live, call.stage, call.deadline_s or self._options.call_deadline_s)

    def _report_late(self, watched: Watched[Live]) -> None:
        """On the watchdog's thread, while the call is running."""
        live = watched.owner
        message = f"{watched.stage}: expected to take at most {watched.limit_s:g} s, and is still running"
        logger.error(
            "call.late", job_id=live.run.job_id, task=live.run.task, stage=watched.stage, limit_s=watched.limit_s
        )
        error = ErrorBody(code=ErrorCode.STEP_TIMEOUT, message=message)
        live.context.end(JobFailed(error=error, duration_s=live.duration_s))
        if watched.thread is self._thread:
            self._set_status(EngineStatus.STUCK, f"{live.run.task}: {message}")
            self._on_change()
        else:
            self._pool.replace(watched.thread)
            self._post(partial(self._close, live))


def _handed_back(run: Run) -> JobRequeued:
    return JobRequeued(attempt=run.attempt + 1, reason="shutdown")
