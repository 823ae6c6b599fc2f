"""The fake engine: every task, in shape like the real one, and the same each time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.fake import STEPS, FakeBackend
from engine.interface import Call, Done, EngineError, Run, Where
from engine.tasks.test_pattern import HoldTogether
from protocol.events import EventBody, OutputReady, StepFinished
from protocol.requests import TASKS, Previews, TaskName
from tests.unit.engine.driver import Driver, make_run
from tests.unit.engine.pictures import pixels_of, save, texture

REGION = {"x": 4, "y": 4, "width": 10, "height": 10}
PARAMS: Mapping[TaskName, Mapping[str, Any]] = {
    TaskName.ERASE: {"regions": [REGION]},
    TaskName.REMOVE_TEXT: {},
    TaskName.UPSCALE: {"factor": 2.5},
    TaskName.REMOVE_BACKGROUND: {},
    TaskName.SEGMENT: {"points": [{"x": 30.0, "y": 20.0}], "count": 3},
    TaskName.ADJUST_MASK: {"operation": "expand"},
    TaskName.RESTORE_FACE: {},
    TaskName.DESCRIBE: {},
    TaskName.TEXT_TO_IMAGE: {"prompt": "a cat", "width": 60, "height": 40, "images": 2},
    TaskName.IMAGE_TO_IMAGE: {"prompt": "a cat"},
    TaskName.INPAINT: {"prompt": "a cat", "regions": [{"x": 4, "y": 4, "width": 20, "height": 10}]},
    TaskName.OUTPAINT: {"prompt": "a cat", "right": 20},
    TaskName.ENHANCE: {"prompt": "a cat", "enhance": {"regions": [{"text": "face"}, {"subject": "auto"}]}},
    TaskName.TEST_PATTERN: {"width": 60, "height": 40, "images": 2},
}
SIZES = {TaskName.UPSCALE: (150, 100), TaskName.OUTPAINT: (80, 40), TaskName.DESCRIBE: None}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return save(tmp_path / "image.png", texture(40, 60))


def run_of(task: TaskName, image: Path, first_image: int = 0, **changed: object) -> Run:
    inputs = dict.fromkeys(TASKS[task].image_fields[:1], image)
    return make_run(task, {**PARAMS[task], **changed}, inputs=inputs, first_image=first_image)


def run_fake(run: Run, backend: FakeBackend | None = None) -> Driver:
    """Through `LiveJob.resume`, as an executor does."""
    driver = Driver(run)
    job = (backend or FakeBackend()).open(run, driver)
    step = job.resume()
    while not isinstance(step, Done):
        driver.calls.append(step)
        step = job.resume(step.run())
    driver.show_previews()
    return driver


@pytest.mark.parametrize("task", list(PARAMS))
def test_every_task_gives_its_outputs_in_order_with_steps_and_previews(task: TaskName, image: Path) -> None:
    done = run_fake(run_of(task, image))
    outputs = done.of_type(OutputReady)
    expected = {TaskName.SEGMENT: 3, TaskName.TEXT_TO_IMAGE: 2, TaskName.TEST_PATTERN: 2}.get(task, 1)
    assert [output.index for output in outputs] == list(range(expected))
    assert len(done.of_type(StepFinished)) == len(done.pictures) == STEPS * expected
    assert done.progress == sorted(done.progress)
    assert done.progress[-1] == 1
    assert all(shown.dtype == np.uint8 and shown.shape[2] == 3 for shown in done.pictures)
    size = SIZES.get(task, (60, 40))
    assert all((output.width, output.height) == (size or (None, None)) for output in outputs)


@pytest.mark.parametrize("task", list(PARAMS))
def test_the_same_run_gives_the_same_bytes(task: TaskName, image: Path) -> None:
    first, again = run_fake(run_of(task, image)), run_fake(run_of(task, image))
    assert [output.content for output in first.outputs.values()] == [o.content for o in again.outputs.values()]


@pytest.mark.parametrize("task", list(PARAMS))
def test_steps_are_device_calls_that_hold_it_as_long_as_asked(
    task: TaskName, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    monkeypatch.setattr("engine.tasks.test_pattern.time.sleep", held.append)
    done = run_fake(run_of(task, image), FakeBackend(step_s=0.125))
    on_device = [call for call in done.calls if call.where is Where.DEVICE]
    assert held == [0.125] * len(on_device)
    assert len(on_device) == len(done.of_type(StepFinished))


@pytest.mark.parametrize("task", [TaskName.SEGMENT, TaskName.TEST_PATTERN])
def test_an_attempt_starts_at_the_first_image_without_output(task: TaskName, image: Path) -> None:
    whole, rest = run_fake(run_of(task, image)), run_fake(run_of(task, image, first_image=1))
    assert list(rest.outputs) == list(whole.outputs)[1:]
    assert rest.outputs[1].content == whole.outputs[1].content


def test_every_task_that_makes_something_is_tried_here() -> None:
    assert set(PARAMS) == set(TaskName) - {TaskName.LOAD_MODEL}


def test_a_model_is_loaded_once_told_of_and_dropped_when_asked_or_idle() -> None:
    told: list[EventBody] = []
    backend = FakeBackend(tell=told.append)
    for _ in range(2):
        done = run_fake(make_run(TaskName.LOAD_MODEL, {"model": "fake"}), backend)
        assert [step.progress for step in done.of_type(StepFinished)] == [1.0]
        assert done.of_type(OutputReady) == []
    assert backend.memory().names == ("checkpoint:fake",)
    backend.unload_model("checkpoint:other", "asked")
    backend.rest(3600)
    assert backend.memory().names == ("checkpoint:fake",)
    backend.unload_model("checkpoint:fake", "asked")
    assert backend.memory().names == ()
    run_fake(make_run(TaskName.LOAD_MODEL, {"model": "fake"}), backend)
    backend.rest(-1)
    assert backend.memory().names == ()
    assert [body.TYPE for body in told] == ["model.loading", "model.loaded", "model.unloaded"] * 2
    assert {getattr(body, "model", None) for body in told} == {"checkpoint:fake"}


def test_erasing_changes_the_region_only(image: Path) -> None:
    before = pixels_of(image.read_bytes())
    after = pixels_of(run_fake(run_of(TaskName.ERASE, image)).outputs[0].content)
    changed = (before != after).any(axis=2)
    assert changed[4:14, 4:14].mean() > 0.9
    changed[4:14, 4:14] = False
    assert not changed.any()


def test_a_mask_of_another_size_is_refused_as_by_the_real_task(image: Path, tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.zeros((3, 3), np.uint8))
    run = make_run(TaskName.ERASE, {}, inputs={"image": image, "mask": mask})
    with pytest.raises(EngineError, match="expected 60 x 40 px like the image, got 3 x 3"):
        run_fake(run)


@pytest.mark.parametrize(
    ("task", "params", "warning"),
    [
        (TaskName.ERASE, {"regions": [{"x": 900, "y": 0, "width": 5, "height": 5}]}, "empty_mask"),
        (TaskName.REMOVE_TEXT, {"min_confidence": 1.0}, "nothing_found"),
        (TaskName.REMOVE_BACKGROUND, {"format": "jpeg"}, "alpha_flattened"),
    ],
)
def test_the_warnings_of_the_real_tasks_are_given(
    task: TaskName, params: dict[str, Any], warning: str, image: Path
) -> None:
    assert run_fake(run_of(task, image, **params)).warnings == [warning]


def test_no_preview_is_made_when_none_is_wanted(image: Path) -> None:
    run = make_run(TaskName.ERASE, PARAMS[TaskName.ERASE], inputs={"image": image}, previews=Previews.NONE)
    assert run_fake(run).pictures == []


def test_steps_of_test_patterns_can_be_run_as_one_when_a_limit_is_given(image: Path) -> None:
    run = run_of(TaskName.TEST_PATTERN, image)
    alone = FakeBackend().open(run, Driver(run)).resume()
    grouped = FakeBackend(batch_limit=8).open(run, Driver(run)).resume()
    assert isinstance(alone, Call)
    assert isinstance(grouped, Call)
    assert alone.group is None
    assert grouped.group == HoldTogether(8)


def test_generating_tells_what_an_image_is_made_from_as_the_real_engine_does(image: Path) -> None:
    asked = {"prompt": "a [[cat,dog]]\n__nobody__", "prompt_syntax": "fooocus", "styles": ["Fooocus V2"], "seed": 3}
    driver = run_fake(run_of(TaskName.TEXT_TO_IMAGE, image, **asked))
    data = [told.data or {} for told in driver.of_type(OutputReady)]
    assert [told["prompt"][:2] for told in data] == [["a cat", "nobody"], ["a dog", "nobody"]]
    assert [told["styles"] for told in data] == [["Fooocus V2"]] * 2
    assert data[0]["prompt_expansion"] != data[1]["prompt_expansion"]
    assert driver.warnings == ["wildcard_missing"]


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"upscale": 2.5}, (150, 100)),
        ({"size_rule": "model"}, (80, 56)),
        ({"width": 30, "height": 20}, (30, 20)),
    ],
)
def test_a_picture_made_from_another_has_the_size_it_has_from_the_real_task(
    image: Path, params: Mapping[str, Any], size: tuple[int, int]
) -> None:
    (output,) = run_fake(run_of(TaskName.IMAGE_TO_IMAGE, image, **params)).of_type(OutputReady)
    assert (output.width, output.height) == size


def test_sides_and_an_inverted_mask_are_painted_over(image: Path) -> None:
    before = texture(40, 60)
    inside, around = (
        pixels_of(run_fake(run_of(TaskName.INPAINT, image, left=8, **more)).outputs[0].content)
        for more in ({}, {"invert_mask": True})
    )
    assert inside.shape == (40, 68, 3)
    changed = [(made[:, 8:] != before).any(axis=2) for made in (inside, around)]
    assert np.array_equal(changed[0], ~changed[1])
    assert len(np.unique(inside[:, :8].reshape(-1, 3), axis=0)) == 1


def test_a_mask_of_another_size_is_fitted_if_asked(image: Path, tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:10, 5:10] = 255
    inputs = {"image": image, "mask": save(tmp_path / "mask.png", mask)}
    made = run_fake(make_run(TaskName.INPAINT, {"prompt": "a cat", "fit_mask": True}, inputs=inputs))
    changed = (pixels_of(made.outputs[0].content) != texture(40, 60)).any(axis=2)
    assert changed[10:20, 10:20].all()
    assert changed.sum() == 100
    with pytest.raises(EngineError, match="expected 60 x 40 px like the image, got 30 x 20"):
        run_fake(make_run(TaskName.INPAINT, {"prompt": "a cat"}, inputs=inputs))
