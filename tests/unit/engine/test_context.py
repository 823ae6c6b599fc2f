import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from engine.context import JobContext
from engine.interface import PREVIEW_MAX_SIDE_PX, EncodedImage, Where
from protocol.events import JobCancelled, JobSucceeded, OutputReady, PreviewReady, StepFinished
from protocol.requests import Previews
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import Outputs, Sink, make_run

LONG_S = 3600.0


class Table:
    """A context whose side pool runs when the test says so."""

    def __init__(self, previews: Previews = Previews.LATEST, interval_s: float = LONG_S) -> None:
        self.sink = Sink()
        self.outputs = Outputs()
        self.in_pool: list[Callable[[], None]] = []
        self.context = JobContext(
            make_run("a", previews=previews, attempt=2),
            self.sink,
            self.outputs,
            self.in_pool.append,
            preview_interval_s=interval_s,
        )

    def run_pool(self) -> None:
        waiting, self.in_pool[:] = list(self.in_pool), []
        for work in waiting:
            work()

    def show(self, step: int) -> None:
        self.context.preview(step, lambda: np.full((4, 6, 3), step, np.uint8))

    @property
    def previews(self) -> list[PreviewReady]:
        return [body for body in self.sink.of("a") if isinstance(body, PreviewReady)]


def test_a_preview_is_a_small_jpeg_made_off_the_callers_thread() -> None:
    table = Table()
    table.context.preview(3, lambda: np.full((600, 900, 3), (255, 0, 0), np.uint8), image=1)
    assert table.previews == []
    table.run_pool()
    (preview,) = table.previews
    assert (preview.image, preview.step, preview.media_type) == (1, 3, "image/jpeg")
    with Image.open(io.BytesIO(preview.bytes)) as shown:
        assert shown.format == "JPEG"
        assert shown.size == (preview.width, preview.height) == (PREVIEW_MAX_SIDE_PX, 171)
        red, green, blue = shown.getpixel((100, 100))
    assert red > 250
    assert max(green, blue) < 5


def test_latest_previews_are_throttled() -> None:
    table = Table(Previews.LATEST)
    for step in (1, 2, 3):
        table.show(step)
        table.run_pool()
    assert [preview.step for preview in table.previews] == [1]
    assert not table.context.wants_previews


def test_a_throttle_opens_again_after_its_interval() -> None:
    table = Table(Previews.LATEST, interval_s=0.0)
    for step in (1, 2, 3):
        table.show(step)
        table.run_pool()
    assert [preview.step for preview in table.previews] == [1, 2, 3]


def test_all_previews_are_shown_but_no_second_one_while_the_first_is_being_made() -> None:
    table = Table(Previews.ALL)
    table.show(1)
    assert not table.context.wants_previews
    table.show(2)
    table.run_pool()
    table.show(3)
    table.run_pool()
    assert [preview.step for preview in table.previews] == [1, 3]


def test_no_picture_is_made_for_a_job_that_wants_no_previews() -> None:
    table = Table(Previews.NONE, interval_s=0.0)
    assert not table.context.wants_previews
    table.context.preview(1, lambda: pytest.fail("made all the same"))
    assert table.in_pool == []


@pytest.mark.parametrize("broken", [np.zeros((2, 2), np.float64), "not a picture"])
def test_a_preview_that_cannot_be_made_harms_nobody(broken: object) -> None:
    table = Table(Previews.ALL)
    table.context.preview(1, lambda: broken)
    table.run_pool()
    assert table.previews == []
    table.show(2)
    table.run_pool()
    assert [preview.step for preview in table.previews] == [2]


def test_after_its_end_a_job_tells_nothing() -> None:
    table = Table(Previews.ALL)
    table.show(1)
    assert table.context.end(JobSucceeded(duration_s=1))
    table.run_pool()
    table.context.warn("late", "")
    table.context.step(1, 1, progress=1)
    assert table.sink.types("a") == ["job.succeeded"]
    assert table.context.has_ended


def test_a_job_ends_once_whoever_else_ends_it() -> None:
    table = Table()
    assert table.context.end(JobCancelled(reason="x"))
    assert not table.context.end(JobSucceeded(duration_s=1))
    assert table.sink.types("a") == ["job.cancelled"]


def test_nothing_is_told_by_another_thread_while_the_end_is() -> None:
    table = Table()
    telling, told = threading.Event(), threading.Event()

    class Slow(Sink):
        def emit(self, body: object, **about: object) -> None:
            telling.set()
            assert not told.wait(0.1)
            super().emit(body, **about)  # type: ignore[arg-type] # passed on as it came

    slow = table.context._sink = Slow()
    other = threading.Thread(target=lambda: (telling.wait(), table.context.warn("w", ""), told.set()))
    other.start()
    table.context.end(JobSucceeded(duration_s=1))
    other.join(DEADLINE_S)
    assert slow.types("a") == ["job.succeeded"]


@pytest.mark.parametrize(("progress", "told"), [(-0.5, 0.0), (0.0, 0.0), (0.123456, 0.1235), (1.0, 1.0), (7.0, 1.0)])
def test_progress_is_told_as_a_share_whatever_a_task_says(progress: float, told: float) -> None:
    table = Table()
    table.context.step(1, 2, progress=progress, stage="tile", image=3)
    step = table.sink.one("a", StepFinished)
    assert step.progress == told
    assert (step.step, step.steps, step.stage, step.image) == (1, 2, "tile", 3)
    assert (step.eta_s is None) == (told == 0)
    if told == 1:
        assert step.eta_s == 0


def test_an_output_is_encoded_and_kept_in_the_pool_and_told_by_the_job() -> None:
    table = Table()
    steps = table.context.output(
        2, lambda: EncodedImage(content=b"png", media_type="image/png", width=4, height=3), seed=7, data={"score": 1}
    )
    call = next(steps)
    assert call.where is Where.POOL
    ready = call.run()
    assert table.outputs.kept == {("a", 2): b"png"}
    assert table.sink.told == []
    with pytest.raises(StopIteration):
        steps.send(ready)
    told = table.sink.one("a", OutputReady)
    assert (told.index, told.url, told.media_type, told.size_bytes) == (2, "memory:a/2", "image/png", 3)
    assert (told.width, told.height, told.seed, told.data) == (4, 3, 7, {"score": 1})
    assert set(told.timings) == {"encode", "ready"}
