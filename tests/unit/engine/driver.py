"""Runs a task without an executor: every call at once, on the caller's thread, and writes down what was told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine.interface import Call, EncodedImage, ImageSkipped, Order, Run, RunContext, Steps, Where
from engine.interface.engine import StoredOutput
from protocol.events import EventBody, JobWarning, OutputReady, OutputSkipped, PreviewReady, StepFinished
from protocol.requests import TASKS, Previews, TaskName

JOB_ID = "0197a000-0000-7000-8000-000000000001"


class Driver:
    """A `RunContext` that keeps everything.

    Attributes:
        calls: what the task asked for, in order.
        events: what it told, in order.
        outputs: the encoded outputs, by index.
        pictures: the previews as arrays, by the step they were made after.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.calls: list[Call] = []
        self.events: list[EventBody] = []
        self.outputs: dict[int, EncodedImage] = {}
        self.pictures: list[Any] = []
        self._pending: list[Callable[[], None]] = []

    def emit(self, body: EventBody) -> None:
        self.events.append(body)

    def warn(self, code: str, message: str) -> None:
        self.emit(JobWarning(code=code, message=message))

    @contextmanager
    def image(self, index: int) -> Iterator[None]:
        try:
            yield
        except ImageSkipped:
            self.emit(OutputSkipped(index=index))

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        self.emit(StepFinished(image=image, step=step, steps=steps, progress=progress, stage=stage))

    @property
    def wants_previews(self) -> bool:
        return self.run.previews is not Previews.NONE

    def preview(self, step: int, picture: Callable[[], Any], *, image: int = 0, max_px: int = 256) -> None:
        if self.wants_previews:
            self._pending.append(partial(self._show, step, picture, image))

    def output(
        self,
        index: int,
        encode: Callable[[], EncodedImage],
        *,
        seed: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Steps:
        stored: StoredOutput = yield Call(lambda: self._store(index, encode()), where=Where.POOL, stage="save")
        image = self.outputs[index]
        self.emit(
            OutputReady(
                index=index,
                url=stored.url,
                media_type=image.media_type,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
                width=image.width,
                height=image.height,
                seed=seed,
                data=data,
            )
        )

    def drive(self, steps: Steps) -> "Driver":
        """Run a task to its end; raises what it raises."""
        value: object = None
        error: Exception | None = None
        while True:
            try:
                call = steps.send(value) if error is None else steps.throw(error)
            except StopIteration:
                break
            self.calls.append(call)
            value, error = None, None
            try:
                value = call.run()
            except Exception as raised:  # noqa: BLE001 - the task may handle it, as under an executor
                error = raised
        self.show_previews()
        return self

    def show_previews(self) -> None:
        """Make the previews, as late as an executor may: when the task has gone on with its work."""
        while self._pending:
            self._pending.pop(0)()

    def of_type(self, kind: type[EventBody]) -> list[Any]:
        return [body for body in self.events if isinstance(body, kind)]

    @property
    def warnings(self) -> list[str]:
        return [body.code for body in self.of_type(JobWarning)]

    @property
    def progress(self) -> list[float]:
        return [body.progress for body in self.of_type(StepFinished)]

    def _show(self, step: int, picture: Callable[[], Any], image: int) -> None:
        pixels = picture()
        height, width = pixels.shape[:2]
        self.pictures.append(pixels)
        self.emit(PreviewReady(image=image, step=step, width=width, height=height, media_type="image/jpeg", bytes=b""))

    def _store(self, index: int, image: EncodedImage) -> StoredOutput:
        self.outputs[index] = image
        return StoredOutput(url=f"memory:{index}", size_bytes=len(image.content), sha256="0" * 64)


def make_run(
    task: TaskName,
    params: Mapping[str, Any],
    *,
    inputs: Mapping[str, Path] | None = None,
    previews: Previews = Previews.ALL,
    first_image: int = 0,
) -> Run:
    """A run as the service would hand it over; image parameters that have a file need no value."""
    fields = {name: "upload:x" for name in inputs or {} if "[" not in name} | dict(params)
    return Run(
        job_id=JOB_ID,
        attempt=1,
        task=task,
        params=TASKS[task].params.model_validate(fields),
        order=Order(is_batch=False, priority=1, turn=1),
        previews=previews,
        inputs=inputs or {},
        first_image=first_image,
    )


def drive(task: Callable[[Run, RunContext], Steps], run: Run) -> Driver:
    """Run `task` from its start to its end."""
    driver = Driver(run)
    return driver.drive(task(run, driver))
