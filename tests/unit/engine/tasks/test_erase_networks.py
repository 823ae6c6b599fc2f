"""The heavier erase models through the whole task: their padding, squares and crops, on stand-ins in their formats."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.images import Bytes
from engine.inpainting.erasers import SPECS, Erasers
from engine.inpainting.published import VARIABLES
from engine.inpainting.weights import Weights
from engine.interface import EngineError
from engine.models.residency import Residency
from engine.tasks.erase import erase
from protocol.erasing import EraseModel
from protocol.errors import ErrorCode
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.inpainting.ldm_stand_ins import Denoise, Enlarge, Shrink
from tests.unit.engine.inpainting.published_files import NARROW_FCF, NARROW_MAT, drawn, fcf_shapes, mat_shapes
from tests.unit.engine.inpainting.stand_ins import save_script
from tests.unit.engine.inpainting.zits_stand_ins import Paint, Structure, Twice, TwoLines

HEAVY = (EraseModel.LDM, EraseModel.ZITS, EraseModel.MAT, EraseModel.FCF)
SCRIPTS = {EraseModel.LDM: (Shrink, Enlarge, Denoise), EraseModel.ZITS: (TwoLines, Structure, Twice, Paint)}
Erase = Callable[..., Driver]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as IOPaint fills it."""
    folder = tmp_path_factory.mktemp("cache") / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for model, parts in SCRIPTS.items():
        for file, part in zip(SPECS[model].files, parts, strict=True):
            save_script(part(), folder / file.name)
    torch.save(drawn(mat_shapes(NARROW_MAT)), folder / SPECS[EraseModel.MAT].files[0].name)
    torch.save(drawn(fcf_shapes(NARROW_FCF)), folder / SPECS[EraseModel.FCF].files[0].name)
    return folder.parents[2]


def scene(width: int, height: int) -> tuple[Bytes, Bytes]:
    y, x = np.mgrid[0:height, 0:width]
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 255
    return np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8), mask


@pytest.fixture
def eraser(tmp_path: Path, models: Path) -> Erase:
    def run(model: EraseModel, image: Bytes, mask: Bytes, *, trusts: bool = True, **params: object) -> Driver:
        paths = {"image": tmp_path / "image.png", "mask": tmp_path / "mask.png"}
        Image.fromarray(image).save(paths["image"])
        Image.fromarray(mask).save(paths["mask"])
        environ = {f"{name}_MODEL_MD5": "" for name in VARIABLES.values()} if trusts else {}
        weights = Weights(models_dir=models, allows_noncommercial=True, environ=environ)
        erasers = Erasers(Residency(models, "cpu"), weights)
        fields = {"model": model, "grow_px": 0, "feather_px": 0, "ldm_steps": 2, **params}
        asked = make_run(TaskName.ERASE, fields, inputs=paths)
        return drive(lambda run, context: erase(run, context, erasers), asked)

    return run


def pixels(driver: Driver) -> Bytes:
    return np.asarray(Image.open(io.BytesIO(driver.outputs[0].content)).convert("RGB"))


@pytest.mark.parametrize("model", HEAVY)
@pytest.mark.parametrize(("width", "height"), [(70, 45), (300, 520)])
def test_a_picture_of_any_size_comes_back_in_it_with_only_the_hole_changed(
    eraser: Erase, model: EraseModel, width: int, height: int
) -> None:
    image, mask = scene(width, height)
    made = pixels(eraser(model, image, mask))
    assert made.shape == image.shape
    assert (made[mask == 0] == image[mask == 0]).all()
    assert (made[mask > 0] != image[mask > 0]).any()


@pytest.mark.parametrize("model", HEAVY)
def test_progress_rises_and_every_part_of_the_work_is_told(eraser: Erase, model: EraseModel) -> None:
    driver = eraser(model, *scene(70, 45))
    assert driver.progress == sorted(driver.progress)
    assert len(driver.progress) >= 2
    assert all(0 < progress <= 1 for progress in driver.progress)


def test_fcf_sees_each_part_of_a_large_picture_apart(eraser: Erase) -> None:
    image, mask = scene(900, 700)
    mask[600:640, 800:860] = 255
    driver = eraser(EraseModel.FCF, image, mask, hd_strategy="original")
    assert [call.stage for call in driver.calls].count("fill") == 2
    made = pixels(driver)
    assert (made[mask == 0] == image[mask == 0]).all()


@pytest.mark.parametrize("model", [EraseModel.LDM, EraseModel.ZITS])
def test_scripts_that_are_not_the_published_ones_are_not_opened_unless_trusted(
    eraser: Erase, model: EraseModel
) -> None:
    with pytest.raises(EngineError) as caught:
        eraser(model, *scene(70, 45), trusts=False)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert SPECS[model].files[0].md5 in caught.value.message


@pytest.mark.parametrize("model", [EraseModel.MAT, EraseModel.FCF])
def test_weights_without_code_need_no_trust(eraser: Erase, model: EraseModel) -> None:
    image, mask = scene(70, 45)
    assert pixels(eraser(model, image, mask, trusts=False)).shape == image.shape


def test_zits_leaves_a_picture_alone_of_which_it_sees_nothing(eraser: Erase) -> None:
    image, mask = scene(64, 64)
    driver = eraser(EraseModel.ZITS, image, np.full_like(mask, 255))
    assert driver.warnings
    assert (pixels(driver) == image).all()
