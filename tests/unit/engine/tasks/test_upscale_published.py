"""Upscaling by published weights: all zero, the network repeats pixels, so what comes out is known to the last bit."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engine.interface import EngineError
from engine.models.residency import Residency
from engine.tasks.upscale import upscale
from engine.upscaling.compact import CompactNet
from protocol.errors import ErrorCode
from protocol.events import OutputReady
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save, texture

GENERAL = "realesr-general-x4v3.pth"


def put_zeros(path: Path) -> None:
    """A network of the published form, with nothing in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network = CompactNet(width=4, depth=2)
    torch.save({"params": {name: value * 0 for name, value in network.state_dict().items()}}, path)


def run(image: Path, models_dir: Path, **params: object) -> Driver:
    made = make_run(TaskName.UPSCALE, params, inputs={"image": image})
    return drive(lambda run, context: upscale(run, context, Residency(models_dir, "cpu")), made)


def lanczos(pixels: Any, factor: float) -> Any:
    size = (int(pixels.shape[1] * factor), int(pixels.shape[0] * factor))
    wide = pixels.repeat(4, axis=0).repeat(4, axis=1)
    return cv2.resize(wide, size, interpolation=cv2.INTER_LANCZOS4)


@pytest.mark.parametrize("folder", ["", "plugins", "upscalers", "torch/hub/checkpoints"])
def test_a_published_file_is_found_where_people_put_it(folder: str, tmp_path: Path) -> None:
    put_zeros(tmp_path / folder / GENERAL)
    done = run(save(tmp_path / "in.png", texture(36, 48)), tmp_path, model="general")
    assert done.of_type(OutputReady)[0].data == {"model": "general", "factor": 2.0}


@pytest.mark.parametrize("factor", [0.5, 0.3, 1.0, 1.5, 3.0, 5.0])
def test_zero_weights_give_repeated_pixels_and_then_lanczos(factor: float, tmp_path: Path) -> None:
    put_zeros(tmp_path / GENERAL)
    pixels = texture(36, 48)
    done = run(save(tmp_path / "in.png", pixels), tmp_path, model="general", factor=factor, resampling="lanczos")
    assert (pixels_of(done.outputs[0].content) == lanczos(pixels, factor)).all()


def test_alpha_is_brought_to_the_size_by_linear_interpolation(tmp_path: Path) -> None:
    put_zeros(tmp_path / GENERAL)
    alpha = np.arange(36 * 48, dtype=np.uint8).reshape(36, 48, 1)
    image = save(tmp_path / "in.png", np.concatenate([texture(36, 48), alpha], axis=2))
    made = pixels_of(run(image, tmp_path, model="general", factor=2.0).outputs[0].content)
    assert (made[..., 3] == cv2.resize(alpha, (96, 72), interpolation=cv2.INTER_LINEAR)).all()


def test_a_published_file_comes_before_the_packaged_one(tmp_path: Path) -> None:
    put_zeros(tmp_path / "RealESRGAN_x4plus.pth")
    pixels = texture(36, 48)
    done = run(save(tmp_path / "in.png", pixels), tmp_path, model="x4plus", factor=4.0)
    assert (pixels_of(done.outputs[0].content) == pixels.repeat(4, axis=0).repeat(4, axis=1)).all()


def test_a_model_without_its_file_says_which_file_goes_where(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=rf"put {GENERAL} from https://\S+ into the folder 'plugins'") as refused:
        run(save(tmp_path / "in.png", texture(36, 48)), tmp_path, model="general")
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_another_file_of_the_same_name_is_loaded_anew(tmp_path: Path) -> None:
    put_zeros(tmp_path / GENERAL)
    image, residency = save(tmp_path / "in.png", texture(36, 48)), Residency(tmp_path, "cpu")

    def again() -> Driver:
        made = make_run(TaskName.UPSCALE, {"model": "general"}, inputs={"image": image})
        return drive(lambda run, context: upscale(run, context, residency), made)

    assert "load" in [call.stage for call in again().calls]
    assert "load" not in [call.stage for call in again().calls]
    torch.save(CompactNet(width=8, depth=1).state_dict(), tmp_path / GENERAL)
    assert "load" in [call.stage for call in again().calls]
