"""A VAE in the place of a model's own, and VAEs kept in a wider precision than their models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.families import PipelineKind
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.vae_files import vae_loading
from engine.diffusion.vaes import vae_dtype
from engine.interface import EngineError
from engine.library.records import Family, ModelKind
from engine.steps import run_through
from protocol.errors import ErrorCode
from tests.tiny_files import VAE, vae_tensors, write_single_file
from tests.tiny_models import make_vae, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model
from tests.unit.engine.diffusion.test_folders import latents


@pytest.fixture
def model(tiny_folder: TinyFolder) -> LoadedModel:
    return load_model(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)


@pytest.fixture
def other_vae() -> Any:
    with seeded(99):
        return make_vae()


def loaded(path: Path, model: LoadedModel, family: Family = Family.UNKNOWN) -> Any:
    return run_through(vae_loading(found_at(path, family, ModelKind.VAE), model))


def same_pictures(one: Any, other: Any) -> bool:
    given = torch.randn(1, 4, 8, 8)
    return torch.equal(one.decode(given).sample, other.decode(given).sample)


@pytest.mark.parametrize("prefix", ["", VAE])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_vae_file_of_a_training_program_decodes_as_its_twin(
    tmp_path: Path, model: LoadedModel, other_vae: Any, prefix: str, suffix: str
) -> None:
    tensors = {f"{prefix}{name}": tensor for name, tensor in vae_tensors(other_vae).items()}
    vae = loaded(write_single_file(tensors, tmp_path / f"sharp{suffix}"), model)
    assert same_pictures(vae, other_vae)
    assert not same_pictures(vae, model.vae)


def test_a_vae_file_in_the_layout_of_diffusers_decodes_as_its_twin(
    tmp_path: Path, model: LoadedModel, other_vae: Any
) -> None:
    save_file(other_vae.state_dict(), tmp_path / "sharp.safetensors")
    assert same_pictures(loaded(tmp_path / "sharp.safetensors", model), other_vae)


def test_a_vae_folder_decodes_as_its_twin(tmp_path: Path, model: LoadedModel, other_vae: Any) -> None:
    other_vae.save_pretrained(tmp_path / "sharp")
    assert same_pictures(loaded(tmp_path / "sharp", model), other_vae)


def test_a_replaced_vae_is_the_pipelines_and_the_models_own_stays(
    tmp_path: Path, model: LoadedModel, other_vae: Any
) -> None:
    own = model.vae
    vae = loaded(write_single_file(vae_tensors(other_vae), tmp_path / "sharp.safetensors"), model)
    pipeline = model.pipeline(PipelineKind.TEXT_TO_IMAGE, model.components["scheduler"], vae=vae)
    assert pipeline.vae is vae
    assert model.vae is own


def test_a_vae_of_other_latents_is_refused(tmp_path: Path, model: LoadedModel, other_vae: Any) -> None:
    file = write_single_file(vae_tensors(other_vae), tmp_path / "xl.safetensors")
    with pytest.raises(EngineError, match="'xl' is made for sdxl") as refused:
        loaded(file, model, Family.SDXL)
    assert refused.value.code is ErrorCode.INVALID_PARAMS
    assert same_pictures(loaded(file, model, Family.SD2), other_vae)


def test_a_vae_of_another_number_of_channels_is_refused(tmp_path: Path, model: LoadedModel) -> None:
    make_vae(latent_channels=16).save_pretrained(tmp_path / "wide")
    with pytest.raises(EngineError, match=r"'wide'.*16 channels"):
        loaded(tmp_path / "wide", model)


def test_a_vae_file_that_is_not_whole_is_refused(tmp_path: Path, model: LoadedModel, other_vae: Any) -> None:
    tensors = vae_tensors(other_vae)
    del tensors["decoder.conv_out.bias"]
    with pytest.raises(EngineError, match=r"'most'.*missing") as refused:
        loaded(write_single_file(tensors, tmp_path / "most.safetensors"), model)
    assert refused.value.code is ErrorCode.BAD_MODEL


@pytest.mark.parametrize(
    ("config", "asked", "kept"),
    [
        ({"force_upcast": True}, torch.float16, torch.float32),
        ({"force_upcast": False}, torch.float16, torch.float16),
        ({}, torch.float16, torch.float16),
        ({"force_upcast": True}, torch.bfloat16, torch.bfloat16),
        ({"force_upcast": True}, torch.float32, torch.float32),
    ],
)
def test_a_vae_that_overflows_in_float16_is_kept_in_float32(
    config: dict[str, bool], asked: torch.dtype, kept: torch.dtype
) -> None:
    assert vae_dtype(config, asked) is kept


def test_a_half_precision_model_with_a_wide_vae_draws_and_leaves_the_vae_as_it_was(tiny_folder: TinyFolder) -> None:
    model = load_model(found_at(tiny_folder("sdxl"), Family.SDXL), "cpu", torch.float16)
    assert model.denoiser.dtype is torch.float16
    assert model.vae.dtype is torch.float32
    for kind in PipelineKind:
        drawn = latents(model.pipeline(kind, model.components["scheduler"]), kind)
        assert drawn.dtype is torch.float16
        assert model.vae.decode(drawn / 0.13025).sample.isfinite().all()
    assert model.vae.dtype is torch.float32


def test_a_replaced_vae_of_a_half_precision_model_is_as_wide_as_its_own(
    tmp_path: Path, tiny_folder: TinyFolder, other_vae: Any
) -> None:
    model = load_model(found_at(tiny_folder("sdxl"), Family.SDXL), "cpu", torch.float16)
    file = write_single_file(vae_tensors(other_vae), tmp_path / "sharp.safetensors", torch.float16)
    vae = loaded(file, model)
    assert vae.dtype is torch.float32
    assert vae.decode(torch.randn(1, 4, 8, 8, dtype=torch.float16)).sample.isfinite().all()
