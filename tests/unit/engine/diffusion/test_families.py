"""What is written of each family: configurations that make the published networks, and defaults that fit them."""

import json

import diffusers
import pytest
import transformers
from accelerate import init_empty_weights

from engine.diffusion.families import CONFIGS, FAMILIES, PipelineKind, config_folder
from engine.diffusion.folders import read_index, scheduler_config
from engine.library.records import Family, Prediction

SINGLE_FILES = [family for family, spec in FAMILIES.items() if spec.config is not None]
UNETS = {
    "sd1": 859_520_964,
    "sd1_inpaint": 859_535_364,
    "sd2": 865_910_724,
    "sd2_base": 865_910_724,
    "sd2_inpaint": 865_925_124,
    "sdxl": 2_567_463_684,
    "sdxl_inpaint": 2_567_478_084,
}
TEXT_ENCODERS = {
    ("sd1", "text_encoder"): 123_060_480,
    ("sd2", "text_encoder"): 340_387_840,
    ("sdxl", "text_encoder"): 123_060_480,
    ("sdxl", "text_encoder_2"): 694_659_840,
    ("sdxl_refiner", "text_encoder_2"): 694_659_840,
}
"""Weights of the published networks."""


def config(family: str, part: str) -> dict[str, object]:
    read: dict[str, object] = json.loads((CONFIGS / family / part / "config.json").read_text())
    return read


@pytest.mark.parametrize(("family", "count"), UNETS.items())
def test_a_configured_unet_has_as_many_weights_as_the_published_one(family: str, count: int) -> None:
    with init_empty_weights():
        unet = diffusers.UNet2DConditionModel.from_config(config(family, "unet"))
    assert sum(weight.numel() for weight in unet.parameters()) == count


@pytest.mark.parametrize(("family", "part"), TEXT_ENCODERS)
def test_a_configured_text_encoder_has_as_many_weights_as_the_published_one(family: str, part: str) -> None:
    read = config(family, part)
    with init_empty_weights():
        encoder = getattr(transformers, read["architectures"][0])(transformers.CLIPTextConfig(**read))
    assert sum(weight.numel() for weight in encoder.parameters()) == TEXT_ENCODERS[family, part]


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_configured_vae_has_as_many_weights_as_the_published_one(family: str) -> None:
    with init_empty_weights():
        vae = diffusers.AutoencoderKL.from_config(config(family, "vae"))
    assert sum(weight.numel() for weight in vae.parameters()) == 83_653_863


@pytest.mark.parametrize("family", SINGLE_FILES)
def test_every_component_a_family_names_has_its_configuration(family: Family) -> None:
    folder = config_folder(family, None)
    assert folder is not None
    for part in read_index(folder, family).parts:
        has_own = part.name.startswith("tokenizer")
        assert has_own or list((folder / part.name).glob("*config.json")), part.name
    saved = scheduler_config(folder, family)
    assert getattr(diffusers, saved["_class_name"]).from_config(saved).config.steps_offset == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pipelines_of_a_family_exist_and_its_defaults_fit_its_multiples(family: Family) -> None:
    spec = FAMILIES[family]
    for name in spec.pipelines.values():
        assert hasattr(diffusers, name)
    defaults = spec.defaults(is_saved_scheduler=False)
    assert defaults.width == defaults.height == spec.native_px
    assert defaults.width % defaults.size_multiple == 0


def test_every_family_but_the_unknown_can_be_loaded() -> None:
    assert set(FAMILIES) == set(Family) - {Family.UNKNOWN}


def test_an_inpainting_family_inpaints_and_nothing_else() -> None:
    for family in (Family.SD1_INPAINT, Family.SD2_INPAINT, Family.SDXL_INPAINT):
        assert set(FAMILIES[family].pipelines) == {PipelineKind.INPAINT}


def test_sd2_files_are_read_by_what_they_predict() -> None:
    seen = {}
    for prediction in (None, Prediction.V, Prediction.EPSILON):
        folder = config_folder(Family.SD2, prediction)
        assert folder is not None
        seen[prediction] = scheduler_config(folder, Family.SD2)["prediction_type"]
    assert seen == {None: "v_prediction", Prediction.V: "v_prediction", Prediction.EPSILON: "epsilon"}


@pytest.mark.parametrize(("scale", "size", "multiple", "side"), [(8, 64, 8, 512), (4, 16, 8, 64), (8, 96, 8, 768)])
def test_the_native_size_is_the_latents_times_the_vaes_scale(scale: int, size: int, multiple: int, side: int) -> None:
    defaults = FAMILIES[Family.SD1].defaults(vae_scale=scale, sample_size=size, is_saved_scheduler=True)
    assert (defaults.width, defaults.height, defaults.size_multiple) == (side, side, multiple)
    assert defaults.scheduler is None
