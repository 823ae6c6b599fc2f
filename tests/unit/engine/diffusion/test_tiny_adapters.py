"""The adapters made for the tests are what diffusers takes them for, and change what they should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import save_file

from tests import tiny_adapters
from tests.tiny_files import write_single_file
from tests.tiny_models import make_controlnet, make_image_encoder
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.test_tiny_models import latents

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("text", [True, False], ids=["with text encoder", "denoiser alone"])
def test_a_kohya_lora_changes_a_model_as_its_merged_weights_do(tmp_path: Path, name: str, text: bool) -> None:
    pipeline: Any = FOLDERS[name]()
    plain = latents(pipeline, "a cat")
    save_file(tiny_adapters.kohya_lora(pipeline, text=text), tmp_path / "style.safetensors")
    pipeline.load_lora_weights(tmp_path, weight_name="style.safetensors", adapter_name="style")
    pipeline.set_adapters("style", 0.7)
    adapted = latents(pipeline, "a cat")
    merged = latents(tiny_adapters.merge_lora(FOLDERS[name](), scale=0.7, text=text), "a cat")
    assert (adapted - merged).abs().max() < 1e-4 * adapted.abs().max()
    assert (adapted - plain).abs().max() > 0.01


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_a_lora_is_the_same_in_kohyas_form_and_in_diffusers(tmp_path: Path, name: str) -> None:
    drawn = {}
    for form in ("kohya", "diffusers"):
        pipeline: Any = FOLDERS[name]()
        made = {
            "kohya": lambda pipe: tiny_adapters.kohya_lora(pipe, alpha=2.0),
            "diffusers": tiny_adapters.diffusers_lora,
        }[form](pipeline)
        save_file(made, tmp_path / f"{form}.safetensors")
        pipeline.load_lora_weights(tmp_path, weight_name=f"{form}.safetensors")
        drawn[form] = latents(pipeline, "a cat")
    assert (drawn["kohya"] - drawn["diffusers"]).abs().max() < 1e-4 * drawn["kohya"].abs().max()


def test_an_ip_adapter_changes_what_a_model_draws(tmp_path: Path) -> None:
    pipeline: Any = FOLDERS["sd1"]()
    plain = latents(pipeline, "a cat")
    save_file(tiny_adapters.ip_adapter(pipeline.unet), tmp_path / "ip.safetensors")
    with_eyes = StableDiffusionPipeline(**pipeline.components | {"image_encoder": make_image_encoder()})
    with_eyes.load_ip_adapter(str(tmp_path), subfolder="", weight_name="ip.safetensors", image_encoder_folder=None)
    with_eyes.set_ip_adapter_scale(0.8)
    assert (latents(with_eyes, "a cat", ip_adapter_image=PICTURE) - plain).abs().max() > 0.01


def test_a_controlnet_changes_what_a_model_draws() -> None:
    pipeline: Any = FOLDERS["sd1"]()
    plain = latents(pipeline, "a cat")
    controlled = StableDiffusionControlNetPipeline(
        **pipeline.components | {"controlnet": make_controlnet()}, requires_safety_checker=False
    )
    assert (latents(controlled, "a cat", image=PICTURE) - plain).abs().max() > 0.01


@pytest.mark.parametrize("prefix", ["control_model.", ""])
def test_a_controlnet_file_is_its_diffusers_twin(tmp_path: Path, tiny_folder: TinyFolder, prefix: str) -> None:
    twin = make_controlnet()
    file = write_single_file(tiny_adapters.controlnet_tensors(twin, prefix), tmp_path / "edges.safetensors")
    loaded = ControlNetModel.from_single_file(str(file), config=str(tiny_folder("controlnet")), local_files_only=True)
    expected = twin.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_an_embedding_is_a_word_that_changes_what_a_model_draws(tmp_path: Path) -> None:
    pipeline: Any = FOLDERS["sd1"]()
    vectors = tiny_adapters.embedding()
    plain = latents(pipeline, "a cat")
    torch.save(tiny_adapters.pickled_embedding(vectors), tmp_path / "mine.pt")
    pipeline.load_textual_inversion(str(tmp_path), weight_name="mine.pt", token="<mine>")
    assert (latents(pipeline, "a <mine> cat") - plain).abs().max() > 0.01
