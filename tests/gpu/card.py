"""The real executor on real networks, on a GPU; and the same tasks on the CPU, to compare with."""

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from engine.executor import Executor, ExecutorOptions
from engine.interface import Call, Done, Order, Run
from engine.library.library import Library
from engine.torch_backend import TorchBackend
from protocol.events import EventBody, OutputReady, StepFinished
from protocol.requests import Previews, TaskName
from tests.servers import DEADLINE_S
from tests.unit.engine.driver import Driver
from tests.unit.engine.driver import make_run as make_task_run
from tests.unit.engine.workbench import Outputs, Sink

JOB_DEADLINE_S: Final = 12 * DEADLINE_S
"""The first job waits for CUDA and the libraries; the CPU, to compare with, for minutes of convolutions."""


Cap = Callable[[int], None]
"""Lets torch have so many more bytes of the GPU than it has in use."""


@dataclass(frozen=True)
class Work:
    """What a job asks for."""

    task: TaskName
    params: Mapping[str, Any]
    image: Path | None = None

    def run(self, job_id: str, *, is_batch: bool = True, turn: int = 1, previews: Previews = Previews.NONE) -> Run:
        inputs = {} if self.image is None else {"image": self.image}
        made = make_task_run(self.task, self.params, inputs=inputs, previews=previews)
        return replace(made, job_id=job_id, order=Order(is_batch, 1, turn))


class Card:
    """An executor on one device.

    Attributes:
        told_of_models: `model.loading`, `model.loaded` and `model.unloaded`, in order.
    """

    def __init__(self, device: str, models_dir: Path, sink: Sink | None = None, library: Library | None = None) -> None:
        self.sink = sink or Sink()
        self.outputs = Outputs()
        self.told_of_models: list[EventBody] = []
        backend = TorchBackend(models_dir, self.told_of_models.append, library=library, device=device)
        self.executor = Executor(backend, ExecutorOptions())
        self._changed = threading.Condition()
        self._jobs = 0

    def start(self) -> None:
        self.executor.start(self.sink, self.outputs, self._on_change)
        with self._changed:
            is_loaded = self._changed.wait_for(lambda: self.executor.state().status == "ready", JOB_DEADLINE_S)
            assert is_loaded, self.executor.state()

    def submit(self, work: Work, **order: Any) -> str:
        """Make a job live; returns its id."""
        self._jobs += 1
        job_id = f"{work.task.value}-{self._jobs}"
        self.executor.submit(work.run(job_id, turn=self._jobs, **order))
        return job_id

    def wait_end(self, *job_ids: str) -> None:
        self.sink.wait_end(*job_ids, deadline_s=JOB_DEADLINE_S)

    def result(self, job_id: str, index: int = 0) -> bytes:
        """Output `index` of a job that must have succeeded."""
        assert self.sink.types(job_id)[-1] == "job.succeeded", self.sink.of(job_id)[-1]
        return self.outputs.kept[job_id, index]

    def make(self, work: Work) -> bytes:
        """Output 0 of a job that has the device to itself."""
        job_id = self.submit(work)
        self.wait_end(job_id)
        return self.result(job_id)

    def data(self, job_id: str) -> list[Any]:
        """What the outputs of a job tell."""
        return [body.data for body in self.sink.of(job_id) if isinstance(body, OutputReady)]

    def _on_change(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Canceller(Sink):
    """Cancels a job at its first step, on the executor's own thread."""

    cancel: Callable[[str], None]

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None:
        super().emit(body, job_id=job_id, attempt=attempt)
        if isinstance(body, StepFinished) and job_id is not None:
            self.cancel(job_id)


@contextmanager
def card_on(device: str, models_dir: Path, sink: Sink | None = None, library: Library | None = None) -> Iterator[Card]:
    """A started executor, stopped at the end."""
    card = Card(device, models_dir, sink, library)
    card.start()
    try:
        yield card
    finally:
        assert card.executor.stop(JOB_DEADLINE_S), "a call was still running at the end of the test"


@contextmanager
def loaded_backend(device: str, models_dir: Path, library: Library | None = None) -> Iterator[TorchBackend]:
    """A backend on the thread of the test, which is left as it was."""
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    backend = TorchBackend(models_dir, library=library, device=device)
    backend.load()
    try:
        yield backend
    finally:
        backend.close()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


def drive(backend: TorchBackend, work: Work, after_call: Callable[[Call], None] = lambda _call: None) -> Driver:
    """Run a job without an executor, call by call."""
    run = work.run("driven")
    driver = Driver(run)
    job = backend.open(run, driver)
    call = job.resume()
    while not isinstance(call, Done):
        value = call.run()
        after_call(call)
        call = job.resume(value)
    return driver


def on_cpu(models_dir: Path, work: Work, library: Library | None = None) -> Driver:
    """The same work, done by the CPU in single precision."""
    with loaded_backend("cpu", models_dir, library) as backend:
        return drive(backend, work)


def pixels(content: bytes) -> Any:
    """What is in a picture file, as whole numbers that can be subtracted."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).astype(int)
