"""Our engine in this process, with nothing of the service around it: the real executor on the real backend.

Stock diffusers is run on its thread as well (`on_its_thread`): a second thread that calculates has a team of OpenMP
threads of its own, and two teams on the cores of one make each other wait.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from engine.device import Device
from engine.diffusion.dtype import best_dtype
from engine.executor import Executor, ExecutorOptions
from engine.interface import Call, LiveJob, Order, Run, RunContext, Steps
from engine.interface.engine import EngineStatus, StoredOutput
from engine.library.layouts import Root
from engine.library.library import Library
from engine.library.records import ModelKind
from engine.steps import GeneratorJob
from engine.torch_backend import TorchBackend
from protocol.events import TERMINAL_FACTS, EventBody, JobFailed, JobSucceeded, StepFinished
from protocol.requests import TASKS, Previews, TaskName

T = TypeVar("T")

_WAIT_S: Final = 3600.0
"""For anything: the largest models on the slowest device."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and when it was told: seconds of the performance counter."""

    at: float
    body: EventBody


@dataclass(frozen=True, slots=True)
class Made:
    """A job that succeeded."""

    submitted_at: float
    told: Sequence[Told]

    @property
    def steps_at(self) -> list[float]:
        """When each step was told of."""
        return [told.at for told in self.told if isinstance(told.body, StepFinished)]

    @property
    def until_first_step_s(self) -> float:
        """From submit to the end of the first step."""
        return self.steps_at[0] - self.submitted_at

    @property
    def timings(self) -> dict[str, float]:
        """Stage -> seconds its calls have taken."""
        (end,) = [told.body for told in self.told if isinstance(told.body, JobSucceeded)]
        return dict(end.timings)


class LocalEngine:
    """A started engine; see `local_engine`. One caller at a time.

    Attributes:
        device: it calculates on.
    """

    def __init__(
        self,
        device: Device,
        library: Library,
        executor: Executor,
        sink: "_Sink",
        guests: dict[str, Steps],
    ) -> None:
        self.device = device
        self._library = library
        self._executor = executor
        self._sink = sink
        self._guests = guests
        self._numbers = itertools.count()

    def generate(self, *asked: dict[str, Any], previews: Previews = Previews.NONE) -> list[Made]:
        """Pictures from text, all jobs asked for at once; returns when the last has ended.

        Args:
            asked: the parameters of each job.

        Raises:
            RuntimeError: one failed.
        """
        runs = [self._run(TaskName.TEXT_TO_IMAGE, each, previews) for each in asked]
        submitted_at = []
        for run in runs:
            submitted_at.append(time.perf_counter())
            self._executor.submit(run)
        return [Made(at, self._sink.ended(run.job_id)) for at, run in zip(submitted_at, runs, strict=True)]

    def dtype(self, model: str) -> torch.dtype:
        """What it loads a model in."""
        family = self._library.find(model, ModelKind.CHECKPOINT).family
        return self.on_its_thread(partial(best_dtype, self.device.torch_device, family))

    def on_its_thread(self, work: Callable[[], T]) -> T:
        """What `work` returns, called by the executor as a job of its own.

        Raises:
            RuntimeError: it raised.
        """
        return self.through(_calling(work))

    def through(self, steps: Generator[Call, Any, T]) -> T:
        """What `steps` return, run by the executor as a job of its own.

        Raises:
            RuntimeError: they raised.
        """
        results: list[T] = []

        def all_of_them() -> Steps:
            results.append((yield from steps))

        run = self._run(TaskName.TEST_PATTERN, {}, Previews.NONE)
        self._guests[run.job_id] = all_of_them()
        self._executor.submit(run)
        self._sink.ended(run.job_id)
        return results[0]

    def _run(self, task: TaskName, params: dict[str, Any], previews: Previews) -> Run:
        number = next(self._numbers)
        return Run(
            job_id=f"job-{number}",
            attempt=1,
            task=task,
            params=TASKS[task].params.model_validate(params),
            order=Order(is_batch=True, priority=1, turn=number),
            previews=previews,
        )


@contextlib.contextmanager
def local_engine(
    models_dir: Path, *folders: Path, model_budget_bytes: int | None = None, device: str | None = None
) -> Iterator[LocalEngine]:
    """A started engine, stopped in the end.

    Args:
        models_dir: for what is measured once per model; needs no models.
        folders: of the models there are, each a diffusers folder named as the model.
        model_budget_bytes: see `TorchBackend`; 1 keeps one model in memory.

    Raises:
        RuntimeError: it cannot be loaded.
    """
    library = Library([Root(path=folder) for folder in folders])
    library.refresh()
    guests: dict[str, Steps] = {}
    backend = _Backend(guests, models_dir, library=library, model_budget_bytes=model_budget_bytes, device=device)
    # Its own memory for live jobs is a matter of admission; here as many run as are asked for.
    executor = Executor(backend, ExecutorOptions(call_deadline_s=_WAIT_S))
    sink = _Sink()
    changed = threading.Condition()

    def is_settled() -> bool:
        return executor.state().status is not EngineStatus.LOADING

    def on_change() -> None:
        with changed:
            changed.notify_all()

    executor.start(sink, _Nowhere(), on_change)
    try:
        with changed:
            changed.wait_for(is_settled, _WAIT_S)
        if executor.state().status is not EngineStatus.READY:
            raise RuntimeError(f"the engine is not ready: {executor.state().detail}")
        yield LocalEngine(Device(torch.device(executor.state().device)), library, executor, sink, guests)
    finally:
        executor.stop(_WAIT_S)


class _Backend(TorchBackend):
    """Runs guests as well: steps that are no task, by the id of the job that stands for them."""

    def __init__(self, guests: dict[str, Steps], models_dir: Path, **options: Any) -> None:
        super().__init__(models_dir, **options)
        self._guests = guests

    def open(self, run: Run, context: RunContext) -> LiveJob:
        guest = self._guests.pop(run.job_id, None)
        return super().open(run, context) if guest is None else GeneratorJob(guest)


def _calling(work: Callable[[], T]) -> Generator[Call, Any, T]:
    made: T = yield Call(work)
    return made


class _Sink:
    """Notes what is told, and when."""

    def __init__(self) -> None:
        self._told: dict[str | None, list[Told]] = {}
        self._ended: set[str | None] = set()
        self._changed = threading.Condition()

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None:  # noqa: ARG002
        told = Told(time.perf_counter(), body)
        with self._changed:
            self._told.setdefault(job_id, []).append(told)
            if isinstance(body, TERMINAL_FACTS):
                self._ended.add(job_id)
                self._changed.notify_all()

    def ended(self, job_id: str) -> list[Told]:
        """All that was told of a job, once it has succeeded."""
        with self._changed:
            has_ended = self._changed.wait_for(lambda: job_id in self._ended, _WAIT_S)
            told = self._told.pop(job_id, [])
        if not has_ended or not isinstance(told[-1].body, JobSucceeded):
            end = told[-1].body if told else None
            why = end.error.message if isinstance(end, JobFailed) else "it did not end"
            raise RuntimeError(f"{job_id} made no picture: {why}")
        return told


class _Nowhere:
    """Keeps no outputs: what a disk costs is not measured here."""

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:  # noqa: ARG002
        return StoredOutput(url=f"nowhere:{job_id}/{index}", size_bytes=len(content), sha256="0" * 64)
