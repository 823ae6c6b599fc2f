"""Everything a job can add to its model, at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionControlNetPipeline
from PIL import Image
from safetensors.torch import save_file

from engine.diffusion.studio import Studio
from tests import tiny_adapters
from tests.tiny_models import make_controlnet, make_image_encoder, make_vae, seeded
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import draw, draw_at_once, studio_of
from tests.unit.engine.pictures import save

PICTURE = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
WEIGHTS = {"b1": 1.2, "b2": 1.4, "s1": 0.7, "s2": 0.3}
PLAIN = {"deterministic": True, "guidance_scale": 3.0}
EVERYTHING = {
    **PLAIN,
    "vae": "sharp",
    "loras": [{"name": "ink", "weight": 0.7}],
    "freeu": WEIGHTS,
    "controls": [{"model": "edges", "image": "upload:x", "scale": 0.6}],
    "image_prompts": [{"model": "style", "image": "upload:y", "weight": 0.5}],
}


def sharp_vae() -> Any:
    with seeded(99):
        return make_vae()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("with-everything")
    pipeline: Any = FOLDERS["sd1"]()
    for kind in ("loras", "ip_adapter"):
        (root / kind).mkdir()
    save_file(tiny_adapters.kohya_lora(pipeline), root / "loras" / "ink.safetensors")
    save_file(tiny_adapters.ip_adapter(pipeline.unet), root / "ip_adapter" / "style.safetensors")
    make_image_encoder().save_pretrained(root / "ip_adapter" / "image_encoder")
    make_controlnet().save_pretrained(root / "controlnet" / "edges")
    sharp_vae().save_pretrained(root / "vae" / "sharp")
    return root


@pytest.fixture
def studio(tiny_folder: TinyFolder, folder: Path) -> Studio:
    return studio_of(tiny_folder("sd1").parent, folder)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    picture = save(tmp_path / "picture.png", PICTURE)
    return {"controls[0].image": picture, "image_prompts[0].image": picture}


def test_everything_at_once_draws_what_a_stock_pipeline_with_it_draws(
    studio: Studio, tiny_folder: TinyFolder, folder: Path, inputs: dict[str, Path]
) -> None:
    plain = DiffusionPipeline.from_pretrained(tiny_folder("sd1"), vae=sharp_vae())
    parts = {**plain.components, "controlnet": make_controlnet(), "image_encoder": make_image_encoder()}
    pipeline: Any = StableDiffusionControlNetPipeline(
        **{**parts, "feature_extractor": None}, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(folder / "ip_adapter"), subfolder="", weight_name="style.safetensors", image_encoder_folder=None
    )
    pipeline.set_ip_adapter_scale(0.5)
    pipeline.load_lora_weights(folder / "loras", weight_name="ink.safetensors", adapter_name="ink")
    pipeline.set_adapters("ink", 0.7)
    pipeline.enable_freeu(**WEIGHTS)
    expected = pipeline(
        "a cat",
        image=Image.fromarray(PICTURE),
        ip_adapter_image=Image.fromarray(PICTURE),
        controlnet_conditioning_scale=0.6,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images[0]
    made = draw(studio, EVERYTHING, inputs=inputs)
    assert np.abs(made / 255 - expected).max() < 0.51 / 255


@pytest.mark.parametrize("without", ["vae", "loras", "freeu", "controls", "image_prompts"])
def test_each_of_them_counts_beside_the_others(studio: Studio, inputs: dict[str, Path], without: str) -> None:
    fewer = {name: value for name, value in EVERYTHING.items() if name != without}
    assert not np.array_equal(draw(studio, fewer, inputs=inputs), draw(studio, EVERYTHING, inputs=inputs))


def test_a_plain_job_beside_one_with_everything_draws_what_it_draws_alone(
    studio: Studio, inputs: dict[str, Path]
) -> None:
    plain = draw(studio, PLAIN)
    everything = draw(studio, EVERYTHING, inputs=inputs)
    made = draw_at_once(studio, EVERYTHING, PLAIN, inputs=inputs)
    assert np.array_equal(made[0], everything)
    assert np.array_equal(made[1], plain)
    assert np.array_equal(draw(studio, PLAIN), plain)
