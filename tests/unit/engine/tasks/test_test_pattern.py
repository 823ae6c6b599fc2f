"""The test pattern: a print that develops, from its seed alone."""

import numpy as np
import pytest

from engine.interface import Call, Where
from engine.tasks import test_pattern as pattern
from protocol.events import OutputReady, StepFinished
from protocol.requests import Previews, TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of


def run_pattern(first_image: int = 0, previews: Previews = Previews.ALL, **params: object) -> Driver:
    run = make_run(TaskName.TEST_PATTERN, params, first_image=first_image, previews=previews)
    return drive(pattern.draw_test_pattern, run)


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    first, again, other = (run_pattern(seed=seed, width=64, height=48).outputs[0].content for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert pixels_of(first).shape == (48, 64, 3)


def test_a_batch_draws_the_seeds_that_follow() -> None:
    batch = run_pattern(images=3, seed=2**32 - 1, width=32, height=32)
    assert [body.seed for body in batch.of_type(OutputReady)] == [2**32 - 1, 0, 1]
    assert batch.outputs[1].content == run_pattern(seed=0, width=32, height=32).outputs[0].content


def test_every_step_is_told_with_rising_progress_over_all_images() -> None:
    done = run_pattern(images=2, steps=3)
    assert [(body.image, body.step, body.steps) for body in done.of_type(StepFinished)] == [
        (0, 1, 3), (0, 2, 3), (0, 3, 3), (1, 1, 3), (1, 2, 3), (1, 3, 3),
    ]  # fmt: skip
    assert done.progress == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_previews_develop_from_paper_to_the_finished_print() -> None:
    done = run_pattern(steps=4, width=300, height=600)
    finished = pattern.draw(128, 256, 0).astype(int)
    distances = [float(np.abs(shown - finished).mean()) for shown in done.pictures]
    assert [shown.shape for shown in done.pictures] == [(256, 128, 3)] * 4
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 10
    assert distances[-1] == 0


def test_without_steps_the_image_is_written_at_once() -> None:
    done = run_pattern(steps=0)
    assert [call.stage for call in done.calls] == ["save"]
    assert done.of_type(StepFinished) == []


def test_an_attempt_starts_at_the_first_image_without_output() -> None:
    done = run_pattern(images=3, first_image=2, steps=1)
    assert list(done.outputs) == [2]
    assert done.progress == [1.0]


def test_the_step_that_was_asked_to_fail_fails() -> None:
    with pytest.raises(RuntimeError, match="step 2"):
        run_pattern(steps=3, fail_at_step=2)


def test_steps_hold_the_device_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    monkeypatch.setattr(pattern.time, "sleep", held.append)
    done = run_pattern(steps=2, step_ms=250)
    assert held == [0.25, 0.25]
    assert [call.where for call in done.calls] == [Where.DEVICE, Where.DEVICE, Where.POOL]


def test_steps_run_together_take_the_time_of_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    monkeypatch.setattr(pattern.time, "sleep", held.append)
    group = pattern.HoldTogether(4)
    assert list(group.run([pattern.Hold(0.1), pattern.Hold(0.3)])) == [None, None]
    assert held == [0.3]


def test_steps_of_different_jobs_carry_an_equal_group() -> None:
    run = make_run(TaskName.TEST_PATTERN, {"steps": 1})
    calls: list[Call] = [
        next(pattern.draw_test_pattern(run, Driver(run), group=pattern.HoldTogether(4))) for _ in range(2)
    ]
    assert calls[0].group == calls[1].group
    assert calls[0].payload == pattern.Hold(0.0)


@pytest.mark.parametrize("size", [(8, 8), (8, 4096), (13, 700)])
def test_a_pattern_drawn_in_bands_has_no_seams(size: tuple[int, int]) -> None:
    width, height = size
    whole = pattern.draw(width, height, 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pattern, "_BAND_ROWS", 10_000)
        assert (pattern.draw(width, height, 9) == whole).all()
