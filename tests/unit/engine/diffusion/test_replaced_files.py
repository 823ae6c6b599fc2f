"""Files that are replaced while what they held is in memory, and what is listed of parts that go with a model."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from torch import nn

from engine.diffusion.studio import ReadyModel
from engine.library.default import default_checkpoint
from engine.library.layouts import Root
from engine.library.library import Library
from engine.models.residency import Residency
from engine.models.shelf import Shelf
from protocol.events import ModelLoaded, ModelUnloaded
from tests import tiny_adapters
from tests.tiny_files import vae_tensors, write_single_file
from tests.tiny_models import make_controlnet, make_sd1, make_vae
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, studio_of
from tests.unit.engine.pictures import save

ALONE = {"deterministic": True, "guidance_scale": 3.0}


@pytest.fixture
def folder(tiny_folder: TinyFolder, tmp_path: Path) -> Path:
    """A model to write to: `sd1`."""
    shutil.copytree(tiny_folder("sd1"), tmp_path / "models" / "sd1")
    return tmp_path / "models"


def replace_weights(folder: Path) -> None:
    """Other ones of the same size, a second later, the way a download does it: under another name first."""
    for weights in (folder / "sd1" / "unet").glob("*.safetensors"):
        tensors = {name: tensor * 1.5 for name, tensor in load_file(weights).items()}
        stat = weights.stat()
        save_file(tensors, weights.with_suffix(".part"), metadata={"format": "pt"})
        os.utime(weights.with_suffix(".part"), (stat.st_atime + 1, stat.st_mtime + 1))
        weights.with_suffix(".part").replace(weights)


@pytest.mark.parametrize("named", [{}, {"model": "sd1"}], ids=["default", "named"])
def test_a_replaced_model_is_what_the_next_job_draws_with(folder: Path, named: dict[str, str]) -> None:
    told: list[object] = []
    residency = Residency(Path(), "cpu", told.append)
    studio = studio_of(folder, residency=residency)
    before = draw(studio, {**ALONE, **named})
    replace_weights(folder)
    after = draw(studio, {**ALONE, **named})
    assert not np.array_equal(after, before)
    assert np.array_equal(after, draw(studio_of(folder), ALONE))
    assert [type(body) for body in told if isinstance(body, ModelLoaded | ModelUnloaded)] == [
        ModelLoaded,
        ModelUnloaded,
        ModelLoaded,
    ]
    assert residency.listed == ("checkpoint:sd1",)


def test_a_model_without_a_name_of_its_own_is_looked_at_again(folder: Path) -> None:
    library = Library([Root(path=folder)])
    library.refresh()
    studio = studio_of(folder)
    studio._default_model = None
    first = studio.find(None)
    assert first == default_checkpoint(library.models)
    replace_weights(folder)
    assert studio.find(None).modified_at > first.modified_at


def test_a_job_that_runs_goes_on_with_the_weights_it_began_with(folder: Path) -> None:
    studio = studio_of(folder)
    before = draw(studio, ALONE)
    made: list[Pixels] = []

    def replace_once(_layer: nn.Module, _given: object) -> None:
        """In the middle of a job another one comes for the new weights, and ends before the first does."""
        if not made:
            made.append(np.empty(0))
            replace_weights(folder)
            made[0] = draw(studio, ALONE)

    (resident,) = studio._residency._residents.values()
    assert isinstance(resident.network, ReadyModel)
    layer = resident.network.loaded.denoiser.get_submodule("conv_in")
    hook = layer.register_forward_pre_hook(replace_once)
    first = draw(studio, ALONE)
    hook.remove()
    assert np.array_equal(first, before)
    assert not np.array_equal(made[0], before)
    assert np.array_equal(draw(studio, ALONE), made[0])
    assert studio._residency._replaced == []


def test_a_part_from_a_single_file_is_listed_by_its_name(folder: Path, tmp_path: Path) -> None:
    for kind in ("vae", "controlnet"):
        (folder / kind).mkdir()
    write_single_file(vae_tensors(make_vae()), folder / "vae" / "soft.safetensors")
    write_single_file(tiny_adapters.controlnet_tensors(make_controlnet()), folder / "controlnet" / "depth.safetensors")
    residency = Residency(Path(), "cpu")
    studio = studio_of(folder, residency=residency)
    inputs = {"controls[0].image": save(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))}
    draw(studio, {**ALONE, "vae": "soft", "controls": [{"model": "depth", "image": "upload:a"}]}, inputs=inputs)
    shelf = Shelf(studio.library, folder)
    loaded = {info.id for info in shelf.models(residency.listed) if info.is_loaded}
    assert loaded == {"checkpoint:sd1", "vae:soft", "controlnet:depth"}
    assert residency.unload("vae:soft", "asked")
    assert "vae:soft" not in residency.listed


def test_loras_count_against_the_budget_and_make_room_for_themselves(folder: Path, tiny_folder: TinyFolder) -> None:
    (folder / "loras").mkdir()
    pipeline = make_sd1()
    save_file(tiny_adapters.kohya_lora(pipeline), folder / "loras" / "ink.safetensors")
    shutil.copytree(tiny_folder("sdxl"), folder / "sdxl")
    residency = Residency(Path(), "cpu")
    studio = studio_of(folder, residency=residency)
    draw(studio, {**ALONE, "model": "sdxl"})
    draw(studio, ALONE)
    room = residency.room_bytes
    residency.budget_bytes -= room  # not a byte is left
    draw(studio, {**ALONE, "loras": [{"name": "ink", "weight": 1.0}]})
    assert residency.names == ("checkpoint:sd1",)
    with_lora = residency.room_bytes
    residency.unload("checkpoint:sd1", "asked")
    draw(studio, ALONE)
    assert residency.room_bytes > with_lora
