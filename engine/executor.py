"""The thread that owns the device: holds several live jobs and decides, between calls, who goes next.

One thread runs every device call, one at a time, in the order of `engine.live_set`. Calls for the side pool run beside
it. Nothing is ever interrupted inside a call: cancel, shutdown and preemption act between calls, so a task keeps its
calls short.

What happens on the thread is told by topic: `engine.live_set` chooses, `engine.calls` runs and watches calls,
`engine.course` takes a job from call to call, `engine.ends` ends it. Here is the way in from other threads, and the
thread's own loop.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from engine.backend import Backend
from engine.calls import Calls
from engine.context import JobContext
from engine.course import Course
from engine.ends import Ends
from engine.hold import MOST_HOLD_S
from engine.inbox import Inbox
from engine.interface import Run
from engine.interface.engine import EngineState, EngineStatus, EventSink, ModelMemory, OutputStore
from engine.live import Live
from engine.live_set import LiveSet
from engine.memory import estimate_bytes
from engine.pool import SidePool
from engine.relief import Relief
from engine.rest import Rest
from engine.room import Room
from engine.status_book import StatusBook
from protocol.events import JobStarted

logger = structlog.get_logger(__name__)


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
    """Runs jobs on a backend. Implements `engine.interface.engine.Engine`."""

    def __init__(self, backend: Backend, options: ExecutorOptions | None = None) -> None:
        self._backend = backend
        self._options = options or ExecutorOptions()
        # The backend's own budget is known once it is loaded.
        self._room = Room(self._options.budget_bytes or 0, self._options.max_live_jobs)
        self._status = StatusBook(self._room)
        self._inbox = Inbox()
        self._pool = SidePool(self._options.pool_threads, backend.prepare_pool_thread)
        self._jobs = LiveSet(self._options.most_hold_s)
        self._relief = Relief(backend)
        self._rest = Rest(self._options.model_idle_s)
        self._ends = Ends(self._jobs, self._room, self._relief, self._changed)
        self._calls = Calls(
            self._jobs,
            self._pool,
            self._inbox,
            self._ends,
            self._status,
            deadline_s=self._options.call_deadline_s,
            on_change=self._changed,
        )
        self._course = Course(backend, self._jobs, self._calls, self._ends, self._relief)
        self._stop_asked = threading.Event()
        self._thread: threading.Thread | None = None

    # ---- for the event loop ----------------------------------------------------------------------------------

    def start(self, sink: EventSink, outputs: OutputStore, on_change: Callable[[], None]) -> None:
        self._sink = sink
        self._outputs = outputs
        self._on_change = on_change
        self._pool.start()
        self._calls.start()
        self._thread = threading.Thread(target=self._main, name="safelight-executor", daemon=True)
        self._thread.start()

    def has_room(self, run: Run) -> bool:
        return self._status.takes_jobs and self._room.has(_estimate(run), is_batch=run.order.is_batch)

    def submit(self, run: Run) -> None:
        needed_bytes = _estimate(run)
        self._room.take(needed_bytes, is_batch=run.order.is_batch)
        self._inbox.post(partial(self._make_live, run, needed_bytes), is_submission=True)

    def cancel(self, job_id: str, reason: str) -> None:
        self._inbox.post(partial(self._ends.cancel, job_id, reason))

    def skip(self, job_id: str) -> None:
        self._inbox.post(partial(self._skip, job_id))

    def state(self) -> EngineState:
        return self._status.state()

    def resident_models(self) -> tuple[str, ...]:
        return self._backend.memory().names

    def memory(self) -> ModelMemory:
        return self._backend.memory()

    def unload_model(self, name: str, reason: str) -> None:
        self._inbox.post(partial(self._relief.unload_model, name, reason))

    def stop(self, timeout_s: float) -> bool:
        if self._thread is None:
            return True
        self._status.close()
        self._inbox.post(self._stop_asked.set)
        self._thread.join(timeout_s)
        is_left_behind = self._thread.is_alive()
        if is_left_behind:
            # What it holds is told of here. A job it has not begun was never told to have started: it just waits.
            self._ends.tell_handed_back()
        self._calls.stop()
        self._pool.stop()
        return not is_left_behind

    def _changed(self) -> None:
        """Whom to tell is not known before `start`, when nothing changes yet."""
        self._on_change()

    # ---- the executor thread ---------------------------------------------------------------------------------

    def _main(self) -> None:
        if not self._load():
            return
        try:
            while (live := self._wait_for_next()) is not None:
                self._course.run_on_device(live)
        except BaseException as error:  # a bug of ours or of the backend: say so, or everybody waits for ever
            logger.exception("executor.died")
            self._status.change(EngineStatus.FAILED, f"the executor ended with {type(error).__name__}: {error}")
        else:
            self._status.change(EngineStatus.STOPPED)
        # What was submitted before the stop becomes live, so that it is handed back like everything else.
        self._inbox.deliver_last()
        self._ends.hand_back_all()
        self._backend.close()

    def _load(self) -> bool:
        try:
            device = self._backend.load()
            budget_bytes = self._options.budget_bytes or self._backend.budget_bytes()
        except Exception as error:  # the server must go on and say why it is not ready
            logger.exception("engine.load_failed")
            self._status.change(EngineStatus.FAILED, f"the engine could not be loaded: {error}")
            return False
        self._room.budget_bytes = budget_bytes
        self._status.loaded(device)
        logger.info("engine.ready", device=device, budget_bytes=budget_bytes)
        self._changed()
        return True

    def _wait_for_next(self) -> Live | None:
        """Hear every message, then say whose call the device runs next; None once a stop was asked for."""
        while not self._stop_asked.is_set():
            if (idle_s := self._rest.due_s()) is not None:
                self._relief.rest(idle_s)
            if self._inbox.deliver():
                continue  # a stop may have been among it, and meanwhile more may have come
            if (live := self._jobs.next()) is not None:
                return live
            self._inbox.wait(self._rest.sooner(self._jobs.ask_again_s))
        return None

    def _skip(self, job_id: str) -> None:
        live = self._jobs.find(job_id)
        if live is not None:
            live.is_to_skip = True

    def _make_live(self, run: Run, needed_bytes: int) -> None:
        context = JobContext(
            run,
            self._sink,
            self._outputs,
            partial(self._pool.submit, run.order),
            preview_interval_s=self._options.preview_interval_s,
        )
        live = Live(run, needed_bytes, context)
        self._jobs.add(live)
        context.emit(JobStarted(worker=self._options.worker, device=self._status.device, attempt=run.attempt))
        self._course.begin(live)


def _estimate(run: Run) -> int:
    return estimate_bytes(run.task, run.params, run.input_pixels)
