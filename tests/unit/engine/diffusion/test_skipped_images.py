"""An image that is left out in the middle of its steps changes nothing of the next one."""

from typing import Any

import pytest

from engine.diffusion.studio import Studio
from engine.interface import Call, ImageSkipped
from engine.tasks.text_to_image import text_to_image
from protocol.events import OutputSkipped
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import make, pixels, studio_of
from tests.unit.engine.driver import Driver, make_run

ASKED: dict[str, Any] = {"prompt": "a cat", "steps": 3, "seed": 5, "images": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sd1", "sdxl", "sdxl_refiner"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


def skipping(studio: Studio, params: dict[str, Any], *, after: int) -> Driver:
    """A job whose first image is left out once its denoiser was called so many times."""
    driver = Driver(make_run(TaskName.TEXT_TO_IMAGE, params))
    steps = text_to_image(driver.run, driver, studio)
    value: object = None
    is_skipped = False
    while True:
        try:
            if not is_skipped and sum(call.stage == "denoise" for call in driver.calls) == after:
                is_skipped = True
                call: Call = steps.throw(ImageSkipped())
            else:
                call = steps.send(value)
        except StopIteration:
            return driver
        driver.calls.append(call)
        value = call.run()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"sharpness": 2.0, "guidance_scale": 5.0},
        {"model": "sdxl", "refiner": "sdxl_refiner", "refiner_start": 0.5, "refiner_swap": "joint"},
    ],
    ids=["plain", "shaped", "refined"],
)
def test_the_next_image_is_the_one_it_would_have_been(studio: Studio, params: dict[str, Any]) -> None:
    asked = {**ASKED, **params}
    whole = make(studio, asked)
    left = skipping(studio, asked, after=2)
    assert [body.index for body in left.of_type(OutputSkipped)] == [0]
    assert list(left.outputs) == [1]
    assert (pixels(left.outputs[1].content) == pixels(whole.outputs[1].content)).all()
    again = make(studio, asked)
    assert (pixels(again.outputs[0].content) == pixels(whole.outputs[0].content)).all()
