"""An executor on a backend without devices, whose calls a test can hold, and what it told, in order."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from engine.executor import Executor, ExecutorOptions
from engine.interface import Call, LiveJob, Order, Run, RunContext, Steps, Where
from engine.interface.engine import ModelMemory, ResidentModel, StoredOutput
from engine.steps import GeneratorJob, GreenletJob, await_steps, blocking
from protocol.editing import TestPatternParams
from protocol.events import TERMINAL_FACTS, EventBody, JobRequeued
from protocol.requests import Previews, TaskName
from tests.servers import DEADLINE_S

Body = TypeVar("Body", bound=EventBody)
Task = Callable[[Run, RunContext], Steps]
Adapter = Callable[[Steps], LiveJob]


def as_greenlet(steps: Steps) -> LiveJob:
    """The same work as an ordinary blocking function."""
    return GreenletJob(partial(await_steps, steps))


def as_steps_of_a_greenlet(steps: Steps) -> LiveJob:
    """As tasks that call a pipeline are written."""
    return GeneratorJob(blocking(partial(await_steps, steps)))


ADAPTERS: Mapping[str, Adapter] = {
    "generator": GeneratorJob,
    "greenlet": as_greenlet,
    "blocking": as_steps_of_a_greenlet,
}


@dataclass(frozen=True)
class Told:
    """One event as the engine told it."""

    job_id: str | None
    attempt: int
    body: EventBody


class Sink:
    """Keeps what is emitted, from whichever thread."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._changed = threading.Condition()

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None:
        with self._changed:
            self.told.append(Told(job_id, attempt, body))
            self._changed.notify_all()

    def of(self, job_id: str) -> list[EventBody]:
        return [told.body for told in self.told if told.job_id == job_id]

    def types(self, job_id: str) -> list[str]:
        return [body.TYPE for body in self.of(job_id)]

    def one(self, job_id: str, kind: type[Body]) -> Body:
        (body,) = [body for body in self.of(job_id) if isinstance(body, kind)]
        return body

    def wait(self, is_true: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        with self._changed:
            assert self._changed.wait_for(is_true, deadline_s), f"no {what}; told: {self.told}"

    def wait_end(self, *job_ids: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until each of these jobs has ended or been handed back."""
        for job_id in job_ids:
            self.wait(lambda job_id=job_id: self.has_ended(job_id), f"end of {job_id}", deadline_s)

    def has_ended(self, job_id: str) -> bool:
        return any(isinstance(body, (*TERMINAL_FACTS, JobRequeued)) for body in self.of(job_id))


class Outputs:
    """Keeps outputs in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], bytes] = {}

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        self.kept[job_id, index] = content
        return StoredOutput(url=f"memory:{job_id}/{index}", size_bytes=len(content), sha256="0" * 64)


class Gate:
    """A call that stays in its run until the test opens it."""

    def __init__(self, result: object = None) -> None:
        self.result = result
        self._entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self) -> object:
        self._entered.set()
        assert self._opened.wait(3 * DEADLINE_S), "the test never opened this gate"
        return self.result

    def open(self) -> None:
        self._opened.set()

    def wait_entered(self) -> None:
        assert self._entered.wait(DEADLINE_S), "the call never began"

    @property
    def is_entered(self) -> bool:
        return self._entered.is_set()


@dataclass
class TinyBackend:
    """Runs whatever task a test gave a job's id."""

    adapt: Adapter = GeneratorJob
    tasks: dict[str, Task] = field(default_factory=dict)
    freed: int = 0
    prepared: list[str] = field(default_factory=list)
    closed: bool = False
    load_error: Exception | None = None
    load_gate: Gate | None = None
    budget: int = 1 << 33
    resident: tuple[str, ...] = ()
    unloaded: list[tuple[str, str]] = field(default_factory=list)
    on_rest: Callable[[float], None] = lambda _idle_s: None

    def budget_bytes(self) -> int:
        return self.budget

    def load(self) -> str:
        if self.load_gate is not None:
            self.load_gate()
        if self.load_error is not None:
            raise self.load_error
        return "tiny"

    def prepare_pool_thread(self) -> None:
        self.prepared.append(threading.current_thread().name)

    def open(self, run: Run, context: RunContext) -> LiveJob:
        return self.adapt(self.tasks[run.job_id](run, context))

    def free_memory(self) -> None:
        self.freed += 1

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError)

    def memory(self) -> ModelMemory:
        return ModelMemory(tuple(ResidentModel(name) for name in self.resident))

    def unload_model(self, name: str, reason: str) -> None:
        self.unloaded.append((name, reason))
        self.resident = tuple(each for each in self.resident if each != name)

    def rest(self, idle_s: float) -> None:
        self.on_rest(idle_s)

    def close(self) -> None:
        self.closed = True


class Bench:
    """A running executor and everything around it."""

    def __init__(self, backend: TinyBackend, options: ExecutorOptions) -> None:
        self.backend = backend
        self.sink = Sink()
        self.outputs = Outputs()
        self.executor = Executor(backend, options)
        self.changes = 0
        self._changed = threading.Condition()
        self._turn = 0

    def start(self) -> None:
        self.executor.start(self.sink, self.outputs, self._on_change)

    def submit(
        self,
        job_id: str,
        task: Task,
        *,
        is_batch: bool = True,
        priority: int = 1,
        previews: Previews = Previews.NONE,
        attempt: int = 1,
        share: str = "",
    ) -> Run:
        self._turn += 1
        run = make_run(
            job_id,
            is_batch=is_batch,
            priority=priority,
            turn=self._turn,
            previews=previews,
            attempt=attempt,
            share=share,
        )
        self.backend.tasks[job_id] = task
        self.executor.submit(run)
        return run

    def hold_device(self, *, is_batch: bool = False) -> Gate:
        """Keep the device busy with the most urgent job of all, until the gate is opened."""
        gate = Gate()
        self.submit(f"holder-{self._turn}", lambda _run, _context: calls(gate), is_batch=is_batch, priority=-1)
        gate.wait_entered()
        return gate

    def wait_state(self, is_true: Callable[[Any], bool], what: str) -> None:
        """Wait for a look at the engine; it is looked at whenever it says that it has changed."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_true(self.executor.state()), DEADLINE_S), (
                f"not {what}: {self.executor.state()}"
            )

    def _on_change(self) -> None:
        with self._changed:
            self.changes += 1
            self._changed.notify_all()


@contextmanager
def bench(backend: TinyBackend | None = None, **options: Any) -> Iterator[Bench]:
    """A started executor, stopped at the end; every call of a test must have come back by then."""
    made = Bench(backend or TinyBackend(), ExecutorOptions(**options))
    made.start()
    try:
        made.wait_state(lambda state: state.status == "ready", "ready")
        yield made
    finally:
        assert made.executor.stop(DEADLINE_S), "a call was still running at the end of the test"


def make_run(
    job_id: str,
    *,
    is_batch: bool = True,
    priority: int = 1,
    turn: int = 1,
    previews: Previews = Previews.NONE,
    attempt: int = 1,
    side_px: int = 8,
    share: str = "",
) -> Run:
    return Run(
        job_id=job_id,
        attempt=attempt,
        task=TaskName.TEST_PATTERN,
        params=TestPatternParams(width=side_px, height=side_px),
        order=Order(is_batch, priority, turn, share),
        previews=previews,
    )


def calls(*runs: Callable[[], Any], where: Where = Where.DEVICE) -> Steps:
    """A task that makes these calls one after another."""
    for run in runs:
        yield Call(run, where=where)


def nothing() -> None:
    """A call that does nothing."""


def raises(error: BaseException) -> None:
    """A call, or whatever else, that fails."""
    raise error
