"""The thread that owns the device: holds several live jobs and decides, between calls, who goes next.

One thread runs every device call, in the order of `Order.key`, one call at a time; calls for the side pool run
beside it. Nothing is ever interrupted inside a call: cancel, shutdown and preemption act between calls, so a task
keeps its calls short. A watchdog reports a call that outlives its deadline: it cannot be killed, so its job is
failed, and the engine says that it is stuck until the call comes back.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from engine.context import JobContext
from engine.interface import (
    Backend,
    Call,
    Done,
    EngineError,
    EngineState,
    EngineStatus,
    EventSink,
    JobClosed,
    LiveJob,
    OutOfMemory,
    OutputStore,
    Run,
    Where,
)
from engine.memory import default_budget_bytes, estimate_bytes
from engine.pool import SidePool
from protocol.errors import ErrorBody, ErrorCode
from protocol.events import JobCancelled, JobFailed, JobRequeued, JobStarted, JobSucceeded

logger = structlog.get_logger(__name__)

_WATCH_INTERVAL_S: Final = 0.1
_MOST_RETRIES: Final = 4
"""Calls of one job that may run out of memory in a row, each smaller than the one before."""
_BATCH_SHARE: Final = 0.75
"""Of the memory budget; the rest is kept for interactive work, which would otherwise wait for a batch job to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """How an executor behaves; the defaults suit a laptop.

    Attributes:
        worker: name told in `job.started`.
        budget_bytes: memory that live jobs may need together, by estimate; None takes half of the machine's.
        max_live_jobs: of each class (interactive, batch), whatever their size.
        pool_threads: of the side pool, beside the one for interactive work.
        call_deadline_s: after this long a call is reported, and its job failed.
        preview_interval_s: the least time between two throttled previews of a job.
    """

    worker: str = "local"
    budget_bytes: int | None = None
    max_live_jobs: int = 8
    pool_threads: int = 2
    call_deadline_s: float = 600.0
    preview_interval_s: float = 0.25


@dataclass(slots=True, eq=False)
class _Live:
    """A job between its first call and its end."""

    run: Run
    bytes: int
    context: JobContext
    job: LiveJob | None = None
    call: Call | None = None
    """What it waits for; a device call is run when its turn comes."""
    called_at: float = 0.0
    is_closed: bool = False
    is_abandoned: bool = False
    """Failed by the watchdog while its call was running; whatever that call returns is dropped."""
    retries: int = 0
    """Calls in a row that ran out of memory."""
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.call is not None and self.call.where is Where.DEVICE


class Executor:
    """Runs jobs on a backend. Implements `engine.interface.Engine`."""

    def __init__(self, backend: Backend, options: ExecutorOptions | None = None) -> None:
        self._backend = backend
        self._options = options or ExecutorOptions()
        self._budget_bytes = self._options.budget_bytes or default_budget_bytes()
        self._pool = SidePool(self._options.pool_threads)
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._live: dict[str, _Live] = {}
        self._stop_asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        # Told to other threads, and changed by several: only under `_books`.
        self._books = threading.Lock()
        self._status = EngineStatus.LOADING
        self._detail = ""
        self._device = "none"
        self._live_bytes = {False: 0, True: 0}
        self._live_count = {False: 0, True: 0}
        self._on_device: tuple[_Live, ...] = ()
        self._in_pool: set[_Live] = set()

    # ---- for the event loop ----------------------------------------------------------------------------------

    def start(self, sink: EventSink, outputs: OutputStore, on_change: Callable[[], None]) -> None:
        self._sink = sink
        self._outputs = outputs
        self._on_change = on_change
        self._pool.start()
        self._thread = threading.Thread(target=self._main, name="safelight-executor", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="safelight-watchdog", daemon=True).start()

    def has_room(self, run: Run) -> bool:
        is_batch = run.order.is_batch
        needed = self._estimate(run)
        with self._books:
            if self._status is not EngineStatus.READY or self._live_count[is_batch] >= self._options.max_live_jobs:
                return False
            if self._live_count[is_batch] == 0:
                return True  # one of each class always fits, or a job larger than the budget would wait for ever
            if is_batch:
                return self._live_bytes[True] + needed <= self._budget_bytes * _BATCH_SHARE
            return sum(self._live_bytes.values()) + needed <= self._budget_bytes

    def submit(self, run: Run) -> None:
        needed = self._estimate(run)
        with self._books:
            self._live_bytes[run.order.is_batch] += needed
            self._live_count[run.order.is_batch] += 1
        self._post(partial(self._open, run, needed))

    def cancel(self, job_id: str, reason: str) -> None:
        self._post(partial(self._cancel, job_id, reason))

    def state(self) -> EngineState:
        with self._books:
            return EngineState(
                status=self._status,
                device=self._device,
                live_jobs=sum(self._live_count.values()),
                live_bytes=sum(self._live_bytes.values()),
                budget_bytes=self._budget_bytes,
                detail=self._detail,
            )

    def stop(self, timeout_s: float) -> bool:
        if self._thread is None:
            return True
        self._post(self._begin_stop)
        self._thread.join(timeout_s)
        self._stopped.set()
        self._pool.stop()
        return not self._thread.is_alive()

    def _post(self, message: Callable[[], None]) -> None:
        with self._wake:
            self._inbox.append(message)
            self._wake.notify()

    def _estimate(self, run: Run) -> int:
        return estimate_bytes(run.task, run.params, run.input_pixels)

    # ---- the executor thread ---------------------------------------------------------------------------------

    def _main(self) -> None:
        if self._load():
            while not self._stop_asked.is_set():
                self._take_messages()
                if not self._stop_asked.is_set() and (live := self._next_ready()) is not None:
                    self._run_on_device(live)
            self._hand_back()
            self._backend.close()
        with self._books:
            if self._status is not EngineStatus.FAILED:
                self._status = EngineStatus.STOPPED

    def _load(self) -> bool:
        try:
            device = self._backend.load()
        except Exception as error:  # the server must go on and say why it is not ready
            logger.exception("engine.load_failed")
            with self._books:
                self._status, self._detail = EngineStatus.FAILED, f"the engine could not be loaded: {error}"
            return False
        with self._books:
            self._device, self._status = device, EngineStatus.READY
        logger.info("engine.ready", device=device)
        self._on_change()
        return True

    def _take_messages(self) -> None:
        while True:
            with self._wake:
                while not self._inbox and self._next_ready() is None:
                    self._wake.wait()
                messages = list(self._inbox)
                self._inbox.clear()
            for message in messages:
                message()
            if self._stop_asked.is_set() or self._next_ready() is not None:
                return

    def _next_ready(self) -> _Live | None:
        ready = [live for live in self._live.values() if live.is_ready]
        return min(ready, key=lambda live: live.run.order.key(), default=None)

    def _open(self, run: Run, needed: int) -> None:
        context = JobContext(
            run,
            self._sink,
            self._outputs,
            partial(self._pool.submit, run.order),
            preview_interval_s=self._options.preview_interval_s,
        )
        live = self._live[run.job_id] = _Live(run, needed, context)
        context.emit(JobStarted(worker=self._options.worker, device=self._device, attempt=run.attempt))
        try:
            live.job = self._backend.open(run, context)
        except Exception as error:  # noqa: BLE001 - a raising job fails alone
            self._fail(live, error)
            return
        self._resume(live)

    def _resume(self, live: _Live, value: object = None, error: BaseException | None = None) -> None:
        """Let a job go on to its next call, or to its end."""
        if live.is_closed or live.is_abandoned or live.job is None:
            return
        live.call = None
        try:
            call = live.job.resume(value, error)
        except JobClosed:
            return  # whoever threw it in has already told of the end
        except Exception as raised:  # noqa: BLE001 - a raising job fails alone
            self._fail(live, raised)
            return
        if isinstance(call, Done):
            live.context.emit(JobSucceeded(duration_s=round(live.context.elapsed_s, 4), timings=_rounded(live.timings)))
            self._forget(live)
            return
        live.call, live.called_at = call, time.monotonic()
        if call.where is Where.POOL:
            self._pool.submit(live.run.order, partial(self._run_in_pool, live, call))

    def _run_on_device(self, live: _Live) -> None:
        together = self._compatible(live)
        started_at = time.monotonic()
        with self._books:
            for each in together:
                each.called_at = started_at
            self._on_device = tuple(together)
        results = self._perform(together)
        with self._books:
            self._on_device = ()
            was_stuck = self._status is EngineStatus.STUCK
            if was_stuck:
                self._status, self._detail = EngineStatus.READY, ""
        for each, (value, error) in zip(together, results, strict=True):
            self._account(each, time.monotonic() - started_at)
            self._resume_after(each, value, error)
        if was_stuck:
            logger.warning("engine.recovered")
            self._on_change()

    def _compatible(self, first: _Live) -> list[_Live]:
        """The jobs whose waiting calls can run as one with that of `first`, most urgent first."""
        if first.call is None or first.call.group is None:
            return [first]
        group = first.call.group
        same = [
            live for live in self._live.values() if live.call is not None and live.is_ready and live.call.group == group
        ]
        same.sort(key=lambda live: live.run.order.key())
        return same[: max(1, group.limit)]

    def _perform(self, together: list[_Live]) -> list[tuple[object, Exception | None]]:
        calls = [live.call for live in together if live.call is not None]
        if len(calls) > 1 and calls[0].group is not None:
            try:
                values = calls[0].group.run([call.payload for call in calls])
                return [(value, None) for value in values]
            except Exception:  # one of them spoils it for the others: each runs alone, and fails alone
                logger.exception("batch.failed", jobs=[live.run.job_id for live in together])
                self._backend.free_memory()
        return [_outcome(call) for call in calls]

    def _run_in_pool(self, live: _Live, call: Call) -> None:
        """On a side-pool thread."""
        with self._books:
            if live.is_closed:
                return
            live.called_at = time.monotonic()  # its deadline runs from here, not from when it began to wait
            self._in_pool.add(live)
        value, error = _outcome(call)
        with self._books:
            self._in_pool.discard(live)
        self._post(partial(self._after_pool, live, call, value, error))

    def _after_pool(self, live: _Live, call: Call, value: object, error: Exception | None) -> None:
        if live.call is call:
            self._account(live, time.monotonic() - live.called_at)
            self._resume_after(live, value, error)

    def _resume_after(self, live: _Live, value: object, error: Exception | None) -> None:
        if error is None or not self._backend.is_out_of_memory(error):
            live.retries = 0
            self._resume(live, value, error)
            return
        self._backend.free_memory()
        live.retries += 1
        logger.warning("call.out_of_memory", job_id=live.run.job_id, task=live.run.task, retries=live.retries)
        if live.retries > _MOST_RETRIES:
            self._fail(live, error)
        else:
            self._resume(live, error=OutOfMemory(str(error)))

    def _account(self, live: _Live, seconds: float) -> None:
        if live.call is not None:
            live.timings[live.call.stage] = live.timings.get(live.call.stage, 0.0) + seconds

    # ---- ends ------------------------------------------------------------------------------------------------

    def _cancel(self, job_id: str, reason: str) -> None:
        live = self._live.get(job_id)
        if live is not None:
            live.context.emit(JobCancelled(reason=reason, duration_s=round(live.context.elapsed_s, 4)))
            self._close(live)

    def _fail(self, live: _Live, error: Exception) -> None:
        live.context.emit(JobFailed(error=self._explain(live, error), duration_s=round(live.context.elapsed_s, 4)))
        self._forget(live)

    def _explain(self, live: _Live, error: Exception) -> ErrorBody:
        if isinstance(error, EngineError):
            return ErrorBody(code=error.code, message=error.message)
        logger.error("job.raised", job_id=live.run.job_id, task=live.run.task, exc_info=error)
        if isinstance(error, OutOfMemory) or self._backend.is_out_of_memory(error):
            message = "the device ran out of memory, also after its caches were freed; try a smaller picture or tile"
            return ErrorBody(code=ErrorCode.OUT_OF_MEMORY, message=message)
        return ErrorBody(code=ErrorCode.STEP_FAILED, message=f"{type(error).__name__}: {error}")

    def _close(self, live: _Live) -> None:
        """End a job from outside, at the call it is suspended in; its own clean-up runs now."""
        job = live.job
        self._forget(live)
        if job is not None:
            with contextlib.suppress(JobClosed):
                try:
                    job.resume(error=JobClosed())
                except Exception:  # its clean-up failed; the job has ended all the same
                    logger.exception("job.close_failed", job_id=live.run.job_id)

    def _forget(self, live: _Live) -> None:
        with self._books:
            if live.is_closed:
                return
            live.is_closed = True
            self._in_pool.discard(live)
            self._live_bytes[live.run.order.is_batch] -= live.bytes
            self._live_count[live.run.order.is_batch] -= 1
        live.context.close()
        live.call = None
        self._live.pop(live.run.job_id, None)
        self._on_change()

    def _begin_stop(self) -> None:
        self._stop_asked.set()

    def _hand_back(self) -> None:
        self._take_late_submissions()
        for live in list(self._live.values()):
            live.context.emit(JobRequeued(attempt=live.run.attempt + 1, reason="shutdown"))
            self._close(live)

    def _take_late_submissions(self) -> None:
        """Open what was submitted before the stop, so that it is handed back like everything else."""
        with self._wake:
            messages = [message for message in self._inbox if getattr(message, "func", None) == self._open]
            self._inbox.clear()
        for message in messages:
            message()

    # ---- the watchdog thread ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopped.wait(_WATCH_INTERVAL_S):
            now = time.monotonic()
            with self._books:
                on_device = self._on_device
                watched = [*on_device, *self._in_pool]
            for live in watched:
                self._report_if_late(live, now, is_on_device=live in on_device)

    def _report_if_late(self, live: _Live, now: float, *, is_on_device: bool) -> None:
        call = live.call
        if call is None or live.is_closed or live.is_abandoned:
            return
        limit_s = call.deadline_s or self._options.call_deadline_s
        if now - live.called_at < limit_s:
            return
        message = f"{call.stage}: expected to take at most {limit_s:g} s, and is still running"
        logger.error("call.late", job_id=live.run.job_id, task=live.run.task, stage=call.stage, limit_s=limit_s)
        error = ErrorBody(code=ErrorCode.STEP_TIMEOUT, message=message)
        with self._books:
            if live not in self._on_device and live not in self._in_pool:
                return  # it came back while this was being written
            live.is_abandoned = True
            self._in_pool.discard(live)
            if is_on_device:
                self._status, self._detail = EngineStatus.STUCK, f"{live.run.task}: {message}"
        live.context.emit(JobFailed(error=error, duration_s=round(live.context.elapsed_s, 4)))
        live.context.close()
        if not is_on_device:
            self._pool.replace_stuck_thread(takes_batch=live.run.order.is_batch)
        self._post(partial(self._close_late, live))

    def _close_late(self, live: _Live) -> None:
        if self._live.get(live.run.job_id) is live:
            self._close(live)


def _outcome(call: Call) -> tuple[object, Exception | None]:
    try:
        return call.run(), None
    except Exception as error:  # noqa: BLE001 - belongs to the job, which is resumed with it
        return None, error


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 4) for stage, seconds in timings.items()}
