"""Folders of weights, read beside the device where their files allow it."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn

from engine.diffusion import folder_modules
from engine.diffusion.loading import loading
from engine.interface import Call, Where
from engine.library.records import Family
from engine.steps import run_through
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model

CPU = torch.device("cpu")
NEW_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def assert_equal(module: nn.Module, expected: nn.Module) -> None:
    got, wanted = module.state_dict(), expected.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in wanted.items())


def test_the_denoiser_and_the_vae_of_a_folder_are_read_beside_the_device(
    tiny_folder: TinyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_named: object) -> None:
        raise AssertionError("the library was to load it")

    monkeypatch.setattr(folder_modules, "load_module", refuse)
    folder = tiny_folder("sd1")
    model = load_model(found_at(folder, Family.SD1), "cpu", torch.float32)
    assert_equal(model.denoiser, UNet2DConditionModel.from_pretrained(folder / "unet"))
    assert_equal(model.vae, AutoencoderKL.from_pretrained(folder / "vae"))
    assert not any(part.training for _, part in model.modules())


def test_what_is_read_is_let_go_when_it_is_in_place(tiny_folder: TinyFolder) -> None:
    steps = loading(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)
    call, read = next(steps), 0
    while True:
        value = call.run()
        if call.where is Where.POOL and isinstance(value, dict) and value:
            tensors, read = value, read + 1
            call = steps.send(value)
            call.run()
            assert tensors == {}
            break
        call = steps.send(value)
        assert isinstance(call, Call)
    steps.close()
    assert read == 1


def test_weights_under_their_old_names_are_loaded_by_the_library(tiny_folder: TinyFolder, tmp_path: Path) -> None:
    place = tmp_path / "vae"
    shutil.copytree(tiny_folder("sd1") / "vae", place)
    (file,) = place.glob("*.safetensors")
    tensors = {}
    for name, tensor in load_file(file).items():
        old = name
        if ".attentions." in name:
            for new, before in NEW_NAMES.items():
                old = old.replace(new, before)
        tensors[old] = tensor
    assert any("proj_attn" in name for name in tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    vae = run_through(folder_modules.module_loading(AutoencoderKL, place, torch.float32, CPU, part="vae"))
    assert_equal(vae, AutoencoderKL.from_pretrained(tiny_folder("sd1") / "vae"))


def test_half_precision_is_what_the_library_makes_of_it(tiny_folder: TinyFolder) -> None:
    place = tiny_folder("sdxl") / "unet"
    made = run_through(folder_modules.module_loading(UNet2DConditionModel, place, torch.float16, CPU, part="unet"))
    assert_equal(made, UNet2DConditionModel.from_pretrained(place, dtype=torch.float16))
