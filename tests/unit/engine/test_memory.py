from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.memory import default_budget_bytes, estimate_bytes
from protocol.editing import BackgroundModel, RemoveBackgroundParams, TestPatternParams, UpscaleParams
from protocol.params import OutputFormat, TaskParams
from protocol.requests import TASKS, TaskName
from protocol.retouching import RestoreFaceParams

EXAMPLES: dict[TaskName, dict[str, object]] = {
    TaskName.ERASE: {"image": "x", "mask": "x"},
    TaskName.SEGMENT: {"image": "x", "box": {"x": 0, "y": 0, "width": 1, "height": 1}},
    TaskName.ADJUST_MASK: {"mask": "x", "operation": "expand"},
    TaskName.TEXT_TO_IMAGE: {"prompt": "x"},
    TaskName.IMAGE_TO_IMAGE: {"prompt": "x", "image": "x"},
    TaskName.INPAINT: {"prompt": "x", "image": "x", "mask": "x"},
    TaskName.OUTPAINT: {"prompt": "x", "image": "x", "left": 8},
    TaskName.ENHANCE: {"prompt": "x", "image": "x", "enhance": {"regions": [{"text": "x"}]}},
    TaskName.LOAD_MODEL: {"model": "spark"},
    TaskName.TEST_PATTERN: {},
}
GIB = 1 << 30


def params(task: TaskName) -> TaskParams:
    return TASKS[task].params.model_validate(EXAMPLES.get(task, {"image": "x"}))


@pytest.mark.parametrize("task", list(TaskName))
def test_every_task_has_an_estimate_that_fits_an_ordinary_machine(task: TaskName) -> None:
    assert 0 < estimate_bytes(task, params(task), 1_000_000) < 2 * GIB


@given(task=st.sampled_from(list(TaskName)), pixels=st.integers(0, 10**8), more=st.integers(1, 10**8))
def test_larger_pictures_need_more(task: TaskName, pixels: int, more: int) -> None:
    assert estimate_bytes(task, params(task), pixels + more) > estimate_bytes(task, params(task), pixels)


@given(factor=st.floats(1, 4), pixels=st.integers(1, 10**8))
def test_an_enlargement_needs_room_for_its_result(factor: float, pixels: int) -> None:
    needed = estimate_bytes(TaskName.UPSCALE, UpscaleParams(image="x", factor=factor), pixels)
    assert needed > pixels * factor**2 * 3 * 4


def test_a_pattern_needs_room_for_its_pixels_whatever_came_in() -> None:
    small, large = (TestPatternParams(width=side, height=side, format=OutputFormat.JPEG) for side in (8, 4096))
    difference = estimate_bytes(TaskName.TEST_PATTERN, large, 0) - estimate_bytes(TaskName.TEST_PATTERN, small, 0)
    assert difference >= (4096**2 - 8**2) * 3


def test_the_default_budget_is_a_part_of_this_machine() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0.4 * total < default_budget_bytes() < 0.6 * total


def test_models_that_look_closer_need_more() -> None:
    models = ("u2net", "isnet-anime", "birefnet-general")
    needed = [
        estimate_bytes(
            TaskName.REMOVE_BACKGROUND, RemoveBackgroundParams(image="x", model=BackgroundModel(model)), 1_000_000
        )
        for model in models
    ]
    assert needed == sorted(needed)
    assert len(set(needed)) == len(models)


def test_cleaning_the_background_of_faces_needs_room_for_an_enlargement() -> None:
    plain, cleaned = (RestoreFaceParams(image="x", enhance_background=cleans) for cleans in (False, True))
    pixels = 1_000_000
    difference = estimate_bytes(TaskName.RESTORE_FACE, cleaned, pixels) - estimate_bytes(
        TaskName.RESTORE_FACE, plain, pixels
    )
    assert difference >= 16 * 3 * pixels


def test_a_picture_that_is_enlarged_before_it_is_made_anew_needs_room_for_both() -> None:
    plain, enlarged = (
        TASKS[TaskName.IMAGE_TO_IMAGE].params.model_validate({"prompt": "x", "image": "x", **more})
        for more in ({}, {"upscale": 2.0})
    )
    more = estimate_bytes(TaskName.IMAGE_TO_IMAGE, enlarged, 10**6) - estimate_bytes(
        TaskName.IMAGE_TO_IMAGE, plain, 10**6
    )
    assert more > 10**6 * (16 * 3 + 4 * 3 * 4)


@pytest.mark.parametrize(("few", "many"), [({}, {"left": 4000}), ({}, {"upscale_model": "compact"})])
def test_what_is_added_to_a_repainted_picture_needs_room(few: dict[str, object], many: dict[str, object]) -> None:
    bare = {"prompt": "x", "image": "x", "mask": "x"}
    less, more = (TASKS[TaskName.INPAINT].params.model_validate(bare | each) for each in (few, many))
    assert estimate_bytes(TaskName.INPAINT, more, 10**6) > estimate_bytes(TaskName.INPAINT, less, 10**6) + 10**7


def test_what_is_looked_for_and_enlarged_needs_room() -> None:
    def needed(task: TaskName, **asked: object) -> int:
        params = TASKS[task].params.model_validate({"image": "x", **asked})
        return estimate_bytes(task, params, 1_000_000)

    by_words = needed(TaskName.SEGMENT, text="face")
    assert by_words > needed(TaskName.SEGMENT, points=[{"x": 0, "y": 0}])
    plain = needed(TaskName.IMAGE_TO_IMAGE, prompt="x")
    small = needed(TaskName.IMAGE_TO_IMAGE, prompt="x", enhance={"regions": [{"subject": "u2netp"}]})
    large = needed(TaskName.IMAGE_TO_IMAGE, prompt="x", enhance={"regions": [{"subject": "birefnet-general"}]})
    words = needed(TaskName.IMAGE_TO_IMAGE, prompt="x", enhance={"regions": [{"text": "face"}]})
    enlarged = needed(TaskName.IMAGE_TO_IMAGE, prompt="x", enhance={"rework": {"upscale": 8.0}})
    assert plain < small < words < large
    assert enlarged > small
