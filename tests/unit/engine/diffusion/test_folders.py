"""Diffusers folders: loaded whole, equal to what was saved, and usable by every kind of pipeline."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.diffusion.families import PipelineKind
from engine.diffusion.folders import weight_files
from engine.diffusion.loaded import LoadedModel
from engine.interface import EngineError
from engine.library.records import Family, ModelKind
from protocol.errors import ErrorCode
from protocol.sampling import SchedulerName
from tests import tiny_models
from tests.tiny_models import SIDE_PX
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model

KINDS = list(PipelineKind)
CAN = {
    "sd1": KINDS,
    "sd1_inpaint": [PipelineKind.INPAINT],
    "instruct_pix2pix": [PipelineKind.IMAGE_TO_IMAGE, PipelineKind.INPAINT],
    "powerpaint": [PipelineKind.INPAINT],
    "sd2": KINDS,
    "sdxl": KINDS,
    "sdxl_inpaint": [PipelineKind.INPAINT],
    "sdxl_refiner": [PipelineKind.IMAGE_TO_IMAGE, PipelineKind.INPAINT],
    "flux": KINDS,
    "sd3": KINDS,
}
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8))
MASK = Image.fromarray(np.repeat([[0, 255]], SIDE_PX // 2, axis=1).repeat(SIDE_PX, axis=0).astype(np.uint8))


def load(tiny_folder: TinyFolder, name: str, family: Family | None = None) -> LoadedModel:
    return load_model(found_at(tiny_folder(name), family or Family(name)), "cpu", torch.float32)


def latents(pipeline: Any, kind: PipelineKind, **more: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    arguments = {"prompt": "a cat", "num_inference_steps": 2, "output_type": "latent", **more}
    if kind is not PipelineKind.TEXT_TO_IMAGE:
        arguments |= {"image": PICTURE, "strength": 1.0}
    if kind is PipelineKind.INPAINT:
        arguments["mask_image"] = MASK
    if kind is not PipelineKind.IMAGE_TO_IMAGE:
        arguments |= {"height": SIDE_PX, "width": SIDE_PX}
    return pipeline(generator=torch.Generator().manual_seed(1), **arguments).images


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in CAN.items() for kind in kinds])
def test_a_folder_serves_every_kind_of_pipeline_its_family_has(
    tiny_folder: TinyFolder, name: str, kind: PipelineKind
) -> None:
    model = load(tiny_folder, name)
    assert model.can(kind)
    made = latents(model.pipeline(kind, model.components["scheduler"]), kind)
    assert made.isfinite().all()
    assert made.std() > 0


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl", "flux", "sd3"])
def test_a_loaded_folder_gives_the_same_latents_bit_for_bit_as_the_model_that_was_saved(
    tiny_folder: TinyFolder, name: str
) -> None:
    model = load(tiny_folder, name)
    saved = FOLDERS[name]()
    kind = PipelineKind.TEXT_TO_IMAGE
    loaded = latents(model.pipeline(kind, model.components["scheduler"]), kind)
    assert torch.equal(loaded, latents(saved, kind))


@pytest.mark.parametrize(
    "name", ["sd1_inpaint", "sdxl_inpaint", "sdxl_refiner", "instruct_pix2pix", "paint_by_example", "powerpaint"]
)
def test_a_model_refuses_what_its_family_cannot_do(tiny_folder: TinyFolder, name: str) -> None:
    model = load(tiny_folder, name)
    assert not model.can(PipelineKind.TEXT_TO_IMAGE)
    with pytest.raises(EngineError, match=rf"{name}.*cannot make pictures from text alone") as refused:
        model.pipeline(PipelineKind.TEXT_TO_IMAGE, model.components["scheduler"])
    assert refused.value.code is ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize(("name", "kind"), [("sd1", KINDS[0]), ("sd1", KINDS[2]), ("sd3", KINDS[1])])
def test_a_folder_of_an_unknown_family_finds_its_pipelines_in_the_librarys_own_map(
    tiny_folder: TinyFolder, name: str, kind: PipelineKind
) -> None:
    model = load(tiny_folder, name, Family.OTHER)
    pipeline = model.pipeline(kind, model.components["scheduler"])
    expected = load(tiny_folder, name)
    assert type(pipeline) is type(expected.pipeline(kind, expected.components["scheduler"]))


def test_pipelines_of_one_model_share_its_modules_and_nothing_else(tiny_folder: TinyFolder) -> None:
    model = load(tiny_folder, "sd1")
    one = model.pipeline(PipelineKind.TEXT_TO_IMAGE, tiny_models.make_scheduler())
    other = model.pipeline(PipelineKind.INPAINT, tiny_models.make_scheduler())
    assert one.unet is other.unet is model.denoiser
    assert one.vae is other.vae is model.vae
    assert one.scheduler is not other.scheduler


def test_what_the_folder_says_beside_its_components_reaches_the_pipeline(tiny_folder: TinyFolder) -> None:
    model = load(tiny_folder, "sdxl_refiner")
    pipeline = model.pipeline(PipelineKind.IMAGE_TO_IMAGE, model.components["scheduler"])
    assert pipeline.config.requires_aesthetics_score is True
    assert pipeline.config.force_zeros_for_empty_prompt is False


def test_a_component_can_be_replaced_for_one_pipeline(tiny_folder: TinyFolder) -> None:
    model = load(tiny_folder, "sd1")
    vae = tiny_models.make_vae()
    pipeline = model.pipeline(PipelineKind.TEXT_TO_IMAGE, model.components["scheduler"], vae=vae)
    assert pipeline.vae is vae
    assert model.vae is not vae


def test_the_size_of_a_model_is_that_of_its_weights(tiny_folder: TinyFolder) -> None:
    model = load(tiny_folder, "sd1")
    parts = (model.components["unet"], model.components["vae"], model.components["text_encoder"])
    weights = sum(weight.numel() * 4 for part in parts for weight in part.parameters())
    assert weights <= model.size_bytes < weights * 1.01


def test_the_scheduler_a_folder_was_saved_with_is_known_by_class(tiny_folder: TinyFolder) -> None:
    config = load(tiny_folder, "sd2").scheduler_config
    assert config["_class_name"] == "DDIMScheduler"
    assert config["prediction_type"] == "v_prediction"


def test_the_native_size_comes_from_the_folder(tiny_folder: TinyFolder) -> None:
    defaults = load(tiny_folder, "sd1").defaults
    assert (defaults.width, defaults.height, defaults.size_multiple) == (SIDE_PX, SIDE_PX, 8)
    assert defaults.scheduler is None
    assert load(tiny_folder, "sd3").defaults.size_multiple == 16


def test_a_distilled_flux_takes_few_steps_and_no_guidance(tiny_folder: TinyFolder) -> None:
    defaults = load(tiny_folder, "flux").defaults
    assert (defaults.steps, defaults.guidance_scale) == (4, 0.0)


def test_defaults_in_the_folder_go_before_the_familys(tmp_path: Any) -> None:
    folder = tmp_path / "mine"
    tiny_models.make_sd1().save_pretrained(folder)
    wanted = '{"width": 128, "steps": 9, "guidance_scale": 3, "scheduler": "dpmpp_2m", "show_px": 256}'
    (folder / "safelight.json").write_text(wanted)
    defaults = load_model(found_at(folder, Family.SD1), "cpu", torch.float32).defaults
    assert (defaults.width, defaults.height) == (128, SIDE_PX)
    assert (defaults.steps, defaults.guidance_scale, defaults.show_px) == (9, 3.0, 256)
    assert defaults.scheduler is SchedulerName.DPMPP_2M


@pytest.mark.parametrize(
    ("written", "said"),
    [('{"steps": 0}', "steps"), ('{"stepps": 3}', "stepps"), ('{"width": 99}', "width"), ("nothing", "JSON")],
)
def test_defaults_that_make_no_sense_are_named(tmp_path: Any, written: str, said: str) -> None:
    folder = tmp_path / "mine"
    tiny_models.make_sd1().save_pretrained(folder)
    (folder / "safelight.json").write_text(written)
    with pytest.raises(EngineError, match=rf"'mine'.*safelight\.json.*{said}"):
        load_model(found_at(folder, Family.SD1), "cpu", torch.float32)


def test_weights_saved_as_fp16_alone_load_as_fp32(tmp_path: Any) -> None:
    folder = tmp_path / "half"
    tiny_models.make_sd1().to(torch.float16).save_pretrained(folder, variant="fp16")
    model = load_model(found_at(folder, Family.SD1), "cpu", torch.float32)
    assert {weight.dtype for _, part in model.modules() for weight in part.parameters()} == {torch.float32}
    kind = PipelineKind.TEXT_TO_IMAGE
    assert latents(model.pipeline(kind, model.components["scheduler"]), kind).isfinite().all()


# Which files are read ahead


@pytest.fixture
def shelf(tmp_path: Any) -> Any:
    """A folder with every form of its weights beside each other, as repositories have them."""
    folder = tmp_path / "all"
    pipeline = tiny_models.make_sd1()
    pipeline.save_pretrained(folder, safe_serialization=False)
    pipeline.save_pretrained(folder)
    pipeline.to(torch.float16).save_pretrained(folder, variant="fp16")
    (folder / "v1-5-pruned.safetensors").write_bytes(b"the same as a single file")
    (folder / "safety_checker").mkdir(exist_ok=True)
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"left out")
    (folder / "preview_decoder").mkdir()
    (folder / "preview_decoder" / "diffusion_pytorch_model.safetensors").write_bytes(b"no component")
    return folder


def names(folder: Any, family: Family = Family.SD1, kind: ModelKind = ModelKind.CHECKPOINT) -> set[str]:
    return {str(file.relative_to(folder)) for file in weight_files(found_at(folder, family, kind))}


def test_of_a_folder_one_form_of_each_components_weights_is_read(shelf: Any) -> None:
    whole = {
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert names(shelf) == whole
    (shelf / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    half = {"unet/diffusion_pytorch_model.fp16.safetensors"}
    assert names(shelf) == whole - {"unet/diffusion_pytorch_model.safetensors"} | half


def test_what_is_read_ahead_is_all_that_loading_reads(shelf: Any) -> None:
    wanted = weight_files(found_at(shelf, Family.SD1))
    for path in shelf.rglob("*"):
        if path.suffix in {".safetensors", ".bin"} and path not in wanted:
            path.unlink()
    assert load_model(found_at(shelf, Family.SD1), "cpu", torch.float32).size_bytes > 0


def test_of_weights_in_shards_all_are_read(tmp_path: Any) -> None:
    tiny_models.make_vae().save_pretrained(tmp_path / "vae", max_shard_size="20KB")
    read = names(tmp_path / "vae", Family.UNKNOWN, ModelKind.VAE)
    assert len(read) > 1
    assert read == {path.name for path in (tmp_path / "vae").glob("*-of-*.safetensors")}


def test_of_a_part_of_its_own_only_its_own_weights_are_read(shelf: Any) -> None:
    assert names(shelf / "vae", Family.UNKNOWN, ModelKind.VAE) == {"diffusion_pytorch_model.safetensors"}


def test_of_a_single_file_that_is_read(tmp_path: Any) -> None:
    file = tmp_path / "alone.ckpt"
    assert weight_files(found_at(file, Family.SD1)) == [file]


def test_of_a_folder_that_says_nothing_sensible_nothing_is_read(tmp_path: Any) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert weight_files(found_at(tmp_path, Family.SD1)) == []
