"""Paint by Example's image encoder, from a folder as it was published: equal to what was saved, or refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from engine.diffusion.example_encoder import example_pixels
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.unusable import ModelUnusable
from engine.library.records import Family
from tests.tiny_editors import SEES_PX
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model

PICTURE = np.random.default_rng(3).integers(0, 256, (50, 71, 3), np.uint8)


def load(folder: Path) -> LoadedModel:
    return load_model(found_at(folder, Family.PAINT_BY_EXAMPLE), "cpu", torch.float32)


def copied(tiny_folder: TinyFolder, to: Path) -> Path:
    return shutil.copytree(tiny_folder("paint_by_example"), to / "mine")


def test_the_encoder_sees_what_the_one_that_was_saved_sees(tiny_folder: TinyFolder) -> None:
    saved: Any = FOLDERS["paint_by_example"]()
    given = torch.randn(1, 3, SEES_PX, SEES_PX)
    expected = saved.image_encoder(given, return_uncond_vector=True)
    seen = load(tiny_folder("paint_by_example")).components["image_encoder"](given, return_uncond_vector=True)
    assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))


def test_the_vector_for_no_picture_is_told_as_a_copy(tiny_folder: TinyFolder) -> None:
    encoder = load(tiny_folder("paint_by_example")).components["image_encoder"]
    _, nothing = encoder(torch.zeros(1, 3, SEES_PX, SEES_PX), return_uncond_vector=True)
    assert nothing.data_ptr() != encoder.uncond_vector.data_ptr()


def test_weights_in_pytorchs_own_format_load_too(tiny_folder: TinyFolder, tmp_path: Path) -> None:
    folder = copied(tiny_folder, tmp_path)
    file = folder / "image_encoder" / "model.safetensors"
    tensors = load_file(file)
    torch.save(tensors, file.with_name("pytorch_model.bin"))
    file.unlink()
    assert torch.equal(load(folder).components["image_encoder"].proj_out.weight, tensors["proj_out.weight"])


@pytest.mark.parametrize("lost", ["model.safetensors", "config.json"])
def test_an_encoder_without_one_of_its_files_is_refused(tiny_folder: TinyFolder, tmp_path: Path, lost: str) -> None:
    folder = copied(tiny_folder, tmp_path)
    (folder / "image_encoder" / lost).unlink()
    with pytest.raises(ModelUnusable, match="image_encoder"):
        load(folder)


def test_a_picture_is_prepared_as_by_the_pipelines_own_processor() -> None:
    saved: Any = FOLDERS["paint_by_example"]()
    expected = saved.feature_extractor(images=Image.fromarray(PICTURE), return_tensors="pt").pixel_values
    assert torch.equal(example_pixels(PICTURE.astype(np.float32) / 255, SEES_PX), expected)
