"""IP-Adapters on SDXL, of both kinds, and image encoders that come as single files."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image
from safetensors.torch import save_file

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode
from tests import tiny_adapters
from tests.tiny_models import make_image_encoder, make_sdxl
from tests.unit.engine.diffusion.studios import Pixels, draw, studio_of
from tests.unit.engine.pictures import save

ASKED: Final = {"model": "xl", "deterministic": True}
PHOTO: Final = np.random.default_rng(2).integers(0, 256, (40, 50, 3), np.uint8)
VIT_H: Final = {"width": 1280, "projection": 1024, "heads": 16, "act": "gelu"}
"""All that tells the published encoder from others, but the number of its layers and the room within them."""


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xl") / "xl"
    make_sdxl(is_deep=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("for-xl") / "ip_adapter"
    folder.mkdir()
    pipeline: Any = make_sdxl(is_deep=True)
    for name, is_plus in (("style", False), ("plus", True)):
        save_file(tiny_adapters.ip_adapter(pipeline.unet, is_plus=is_plus), folder / f"{name}.safetensors")
    make_image_encoder().save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters for ViT-H, without one."""
    folder = tmp_path_factory.mktemp("for-vit-h") / "ip_adapter"
    folder.mkdir()
    pipeline: Any = make_sdxl(is_deep=True)
    for name, seen, is_plus in (("style", 1024, False), ("plus", 1280, True)):
        tensors = tiny_adapters.ip_adapter(pipeline.unet, seen=seen, is_plus=is_plus)
        save_file(tensors, folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {f"image_prompts[{at}].image": save(tmp_path / f"{at}.png", PHOTO[:, :: at + 1]) for at in range(2)}


def shown(studio: Studio, inputs: dict[str, Path], *names: str, **params: Any) -> Pixels:
    prompts = [{"model": name, "image": "upload:x", "weight": 0.6} for name in names]
    asked = {field: path for field, path in inputs.items() if int(field[14]) < len(names)}
    return draw(studio, {**ASKED, **params, "image_prompts": prompts}, inputs=asked)


def stock(xl: Path, adapters: Path, names: tuple[str, ...], guidance: float) -> Pixels:
    plain = DiffusionPipeline.from_pretrained(xl)
    pipeline: Any = StableDiffusionXLPipeline(
        **{**plain.components, "image_encoder": make_image_encoder(), "feature_extractor": None}, add_watermarker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(adapters), subfolder="", weight_name=[f"{name}.safetensors" for name in names], image_encoder_folder=None
    )
    pipeline.set_ip_adapter_scale([0.6] * len(names))
    drawn = pipeline(
        "a cat",
        num_inference_steps=3,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
        ip_adapter_image=[Image.fromarray(PHOTO[:, :: at + 1]) for at in range(len(names))],
    )
    return np.asarray(drawn.images[0])


def test_an_adapter_of_sdxl_is_told_by_its_attentions(xl: Path, adapters: Path) -> None:
    studio = studio_of(xl.parent, adapters.parent)
    families = {model.name: model.family for model in studio.library.models if model.name in ("style", "plus")}
    assert families == {"style": Family.SDXL, "plus": Family.SDXL}


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("names", [("style",), ("plus",), ("style", "plus")], ids="+".join)
def test_image_prompts_draw_what_a_stock_pipeline_with_them_draws(
    xl: Path, adapters: Path, inputs: dict[str, Path], names: tuple[str, ...], guidance: float
) -> None:
    studio = studio_of(xl.parent, adapters.parent)
    made = shown(studio, inputs, *names, guidance_scale=guidance)
    assert np.abs(made / 255 - stock(xl, adapters, names, guidance)).max() < 0.51 / 255
    assert not np.array_equal(made, draw(studio, {**ASKED, "guidance_scale": guidance}))


@pytest.mark.parametrize("name", ["style", "plus"])
def test_an_image_encoder_in_one_file_sees_what_its_folder_sees(
    xl: Path, wide: Path, inputs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    encoder = make_image_encoder(**VIT_H)
    folder, file = tmp_path / "folders", tmp_path / "files" / "clip_vision" / "ViT-H.safetensors"
    encoder.save_pretrained(folder / "image_encoders" / "vit-h")
    file.parent.mkdir(parents=True)
    # As older versions of transformers wrote it.
    places = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    save_file({**encoder.state_dict(), **places}, file)
    expected = shown(studio_of(xl.parent, wide.parent, folder), inputs, name)
    assert np.array_equal(shown(studio_of(xl.parent, wide.parent, file.parents[1]), inputs, name), expected)


@pytest.mark.parametrize("fault", ["of another width", "without projection", "in the layout of OpenCLIP"])
def test_a_file_that_is_not_the_adapters_encoder_is_passed_over(
    xl: Path, wide: Path, inputs: dict[str, Path], tmp_path: Path, fault: str
) -> None:
    known = {**VIT_H, "width": 1024} if fault == "of another width" else VIT_H
    tensors = make_image_encoder(**known).state_dict()
    if fault == "without projection":
        del tensors["visual_projection.weight"]
    if fault == "in the layout of OpenCLIP":
        tensors = {f"visual.{name}": tensor for name, tensor in tensors.items()}
    file = tmp_path / "clip_vision" / "other.safetensors"
    file.parent.mkdir()
    save_file(tensors, file)
    with pytest.raises(EngineError, match=r"no image encoder .* needs one of width 1280, as a folder or as") as refused:
        shown(studio_of(xl.parent, wide.parent, tmp_path), inputs, "plus")
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_a_file_that_lacks_weights_is_refused(xl: Path, wide: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    tensors = make_image_encoder(**VIT_H).state_dict()
    del tensors["vision_model.encoder.layers.1.mlp.fc2.weight"]
    file = tmp_path / "clip_vision" / "torn.safetensors"
    file.parent.mkdir()
    save_file(tensors, file)
    with pytest.raises(EngineError, match=r"'torn'.*fc2\.weight missing") as refused:
        shown(studio_of(xl.parent, wide.parent, tmp_path), inputs, "plus")
    assert refused.value.code is ErrorCode.BAD_MODEL
