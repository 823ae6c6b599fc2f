"""Parameters that act around the forwards of a job, in whole jobs and among others."""

from typing import Any

import numpy as np
import pytest

from engine.diffusion.studio import Studio
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of

ASKED: dict[str, Any] = {"guidance_scale": 6.0, "steps": 4, "width": 64, "height": 64}
SHARP = {**ASKED, "sharpness": 30.0}
ADAPTED = {**ASKED, "adaptive_guidance": 1.5}
SIZED = {**ASKED, "size_conditioning": {"positive": 3.0, "negative": 0.1, "end": 0.8}}
REFINED = {"refiner": "sdxl_refiner", "refiner_start": 0.5}


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sd1", "sd2", "sdxl", "sdxl_refiner", "sd3"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


def difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("model", ["sd1", "sd2", "sdxl", "sd3"])
def test_each_changes_the_picture(studio: Studio, model: str) -> None:
    plain = draw(studio, {**ASKED, "model": model})
    for changed in (SHARP, ADAPTED):
        made = make(studio, {**changed, "model": model})
        assert made.warnings == []
        assert difference(draw(studio, {**changed, "model": model}), plain) > 0


def test_adaptive_guidance_of_one_weight_and_the_same_scale_is_plain_guidance(studio: Studio) -> None:
    plain = draw(studio, ASKED)
    assert difference(draw(studio, {**ASKED, "adaptive_guidance": 6.0}), plain) == 0
    assert difference(draw(studio, {**ASKED, "adaptive_guidance": 20.0}), plain) == 0


def test_a_model_that_is_told_of_no_size_says_so(studio: Studio) -> None:
    assert make(studio, SIZED).warnings == ["size_conditioning_unused"]
    made = make(studio, {**SIZED, "model": "sdxl"})
    assert made.warnings == []
    assert made.outputs != make(studio, {**ASKED, "model": "sdxl"}).outputs


def test_without_guidance_there_is_nothing_to_shape(studio: Studio) -> None:
    made = make(studio, {**SHARP, **ADAPTED, "sharpness": 30.0, "guidance_scale": 1.0})
    assert made.warnings == ["sharpness_unused", "adaptive_guidance_unused"]
    assert made.outputs == make(studio, {**ASKED, "guidance_scale": 1.0}).outputs


def test_a_softness_without_controls_is_said_to_have_no_effect(studio: Studio) -> None:
    assert make(studio, {**ASKED, "control_softness": 0.5}).warnings == ["control_softness_unused"]


def test_the_refiners_steps_are_shaped_too(studio: Studio) -> None:
    plain = {**ASKED, **REFINED, "model": "sdxl"}
    late: dict[str, Any] = {"refiner_start": 0.01}
    assert difference(draw(studio, {**plain, **late}), draw(studio, {**SHARP, **plain, **late})) > 0


def test_jobs_that_differ_in_them_draw_at_once_what_they_draw_alone(studio: Studio) -> None:
    asked = [{**each, "model": "sdxl", "steps": 8} for each in (ASKED, SHARP, ADAPTED, SIZED)]
    expected = [draw(studio, job) for job in asked]
    for number, made in enumerate(draw_at_once(studio, *asked)):
        others = expected[:number] + expected[number + 1 :]
        # Forwards of several jobs are rounded differently.
        assert difference(made, expected[number]) <= 1
        assert min(difference(made, other) for other in others) > 1
