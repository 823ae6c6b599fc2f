"""Enlarged pictures that are looked at before they are kept, and whose files say what enlarged them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.interface import EngineError
from engine.tasks.upscale import upscale
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.recipes.recipe import RecipeScheme
from protocol.requests import TaskName
from service.recipes import read_recipe
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, texture
from tests.unit.engine.safety.stand_in import lay_stand_in
from tests.unit.engine.upscalers import Nearest, WithUpscalerAndChecker


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WithUpscalerAndChecker:
    """With a network that finds light pictures unsafe."""
    lay_stand_in(tmp_path, monkeypatch)
    return WithUpscalerAndChecker(Nearest(), tmp_path)


def enlarged(shelf: WithUpscalerAndChecker, path: Path, pixels: Any, **params: Any) -> Driver:
    Image.fromarray(pixels).save(path)
    run = make_run(TaskName.UPSCALE, params, inputs={"image": path})
    return drive(lambda run, context: upscale(run, context, shelf), run)


def grey(value: int) -> Any:
    return np.full((32, 48, 3), value, np.uint8)


def data_of(driver: Driver) -> dict[str, Any]:
    (ready,) = driver.of_type(OutputReady)
    return dict(ready.data)


def test_an_unsafe_picture_becomes_black_and_it_is_said(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    driver = enlarged(checked, tmp_path / "in.png", grey(255), safety_check=True)
    result = pixels_of(driver.outputs[0].content)
    assert result.shape == (64, 96, 3)
    assert not result.any()
    assert driver.warnings == ["censored"]
    assert data_of(driver) == {"model": "compact", "factor": 2.0, "is_censored": True}


def test_a_safe_picture_is_the_same_as_one_nobody_looked_at(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    dark = texture(32, 48) // 16
    looked_at = enlarged(checked, tmp_path / "in.png", dark, safety_check=True)
    assert looked_at.outputs[0].content == enlarged(checked, tmp_path / "in.png", dark).outputs[0].content
    assert looked_at.warnings == []
    assert data_of(looked_at)["is_censored"] is False


def test_no_preview_comes_before_a_picture_was_looked_at(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    driver = enlarged(checked, tmp_path / "in.png", grey(255), safety_check=True, tile_px=32)
    assert len(driver.of_type(StepFinished)) == 2
    assert driver.pictures == []


def test_without_a_network_to_look_the_job_fails_before_its_first_tile(tmp_path: Path) -> None:
    upscaler = Nearest()
    with pytest.raises(EngineError) as refused:
        enlarged(WithUpscalerAndChecker(upscaler, tmp_path), tmp_path / "in.png", grey(0), safety_check=True)
    assert refused.value.code is ErrorCode.MODEL_MISSING
    assert upscaler.seen == []


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("scheme", ["a1111", "fooocus"])
def test_the_file_says_what_enlarged_the_picture(
    checked: WithUpscalerAndChecker, tmp_path: Path, scheme: str, file_format: str
) -> None:
    driver = enlarged(checked, tmp_path / "in.png", grey(9), factor=1.5, metadata=scheme, format=file_format)
    found = read_recipe(driver.outputs[0].content)
    assert found.scheme is RecipeScheme(scheme)
    assert found.recipe is not None
    told = (found.recipe.upscaler, found.recipe.upscale_factor, found.recipe.width, found.recipe.height)
    assert told == ("compact", 1.5, 72, 48)
    assert str(found.recipe.made_by).startswith("Safelight ")
    assert driver.warnings == []


def test_a_black_picture_says_what_enlarged_it_all_the_same(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    driver = enlarged(checked, tmp_path / "in.png", grey(255), safety_check=True, metadata="a1111")
    assert "Postprocess upscaler: compact" in Image.open(io.BytesIO(driver.outputs[0].content)).info["parameters"]


def test_a_format_without_a_place_for_it_is_told(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    driver = enlarged(checked, tmp_path / "in.bmp", grey(9), format="source", metadata="fooocus")
    assert driver.warnings == ["metadata_unused"]
    assert driver.outputs[0].media_type == "image/bmp"


def test_a_file_says_nothing_that_was_not_asked_for(checked: WithUpscalerAndChecker, tmp_path: Path) -> None:
    driver = enlarged(checked, tmp_path / "in.png", grey(9))
    assert not Image.open(io.BytesIO(driver.outputs[0].content)).info
