"""No parameter is ignored in silence: on every family it changes what is made, or there is a warning, or a refusal."""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from engine.diffusion.studio import Studio
from engine.interface import Call, EngineError
from engine.models.residency import Residency
from protocol.errors import ErrorCode
from protocol.events import StepFinished
from protocol.requests import TASKS, Previews, TaskName
from tests import tiny_adapters, tiny_models
from tests.servers import MODELS_DIR
from tests.tiny_brushnets import make_brushnet
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import make, studio_of
from tests.unit.engine.driver import Driver
from tests.unit.engine.pictures import save

PHOTO: Final = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
TEXT: Final = {"width": 64, "height": 64}
REGION: Final = {"regions": [{"x": 20, "y": 12, "width": 24, "height": 20}], "crop": False}
WAYS: Final[Mapping[str, tuple[TaskName, Mapping[str, Any]]]] = {
    "sd1": (TaskName.TEXT_TO_IMAGE, TEXT),
    "sd1_inpaint": (TaskName.INPAINT, REGION),
    "instruct_pix2pix": (TaskName.IMAGE_TO_IMAGE, {}),
    "paint_by_example": (TaskName.INPAINT, {**REGION, "prompt": "", "example": "upload:x"}),
    "sd2": (TaskName.TEXT_TO_IMAGE, TEXT),
    "sd2_inpaint": (TaskName.OUTPAINT, {"right": 16}),
    "sdxl": (TaskName.TEXT_TO_IMAGE, TEXT),
    "sdxl_inpaint": (TaskName.INPAINT, REGION),
    "sdxl_refiner": (TaskName.IMAGE_TO_IMAGE, {}),
    "sd3": (TaskName.INPAINT, REGION),
    "flux": (TaskName.IMAGE_TO_IMAGE, {}),
    "flux_dev": (TaskName.OUTPAINT, {"right": 16}),
    "pixart": (TaskName.TEXT_TO_IMAGE, TEXT),
}
"""Name of a model -> a task it can do, and what that needs. Every task is there, by a UNet and by a transformer."""

CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "prompt": {"prompt": "a dog"},
    "weights": {"prompt": "a (cat:1.6)"},
    "break": {"prompt": "a BREAK cat"},
    "embedding": {"prompt": "a cat, embedding:mine"},
    "prompt too long": {"prompt": "a cat " * 400},
    "tagged lora": {"prompt": "a cat <lora:FAMILY-lora:1.0>"},
    "negative_prompt": {"negative_prompt": "blurred"},
    "prompt_syntax": {"prompt": "a cat\nin a hat", "prompt_syntax": "fooocus"},
    "styles": {"styles": ["SAI Anime"]},
    "wildcards_in_order": {"wildcards_in_order": True},
    "vae": {"vae": "FAMILY-vae"},
    "loras": {"loras": [{"name": "FAMILY-lora"}]},
    "freeu": {"freeu": {}},
    "controls": {"controls": [{"model": "controlnet", "image": "upload:x"}]},
    "brushnet": {"brushnet": {"model": "tiny-brush"}},
    "image_prompts": {"image_prompts": [{"model": "sd1-style", "image": "upload:x"}]},
    "refiner": {"refiner": "sdxl_refiner", "steps": 4},
    "refiner_start": {"refiner_start": 0.4},
    "refiner_start_by": {"refiner_start_by": "steps"},
    "refiner_swap": {"refiner_swap": "joint"},
    "other latents": {"refiner": "sd1", "steps": 4},
    "enhance": {"enhance": {"regions": [{"subject": "u2netp", "strength": 0.6}]}},
    "rework": {"enhance": {"rework": {"strength": 0.6}}},
    "images": {"images": 2},
    "steps": {"steps": 5},
    "performance": {"performance": "lightning"},
    "guidance_scale": {"guidance_scale": 2.5},
    "sharpness": {"sharpness": 30.0},
    "adaptive_guidance": {"adaptive_guidance": 1.0},
    "size_conditioning": {"size_conditioning": {"positive": 3.0, "negative": 0.1, "end": 1.0}},
    "control_softness": {"control_softness": 0.5},
    "scheduler": {"scheduler": "euler_ancestral"},
    "flow scheduler": {"scheduler": "flow_heun"},
    "noise_schedule": {"noise_schedule": "karras"},
    "eta": {"eta": 0.7},
    "seed": {"seed": 6},
    "vary_seed": {"images": 2, "vary_seed": False},
    "clip_skip": {"clip_skip": 1},
    "last layer": {"clip_skip": -1},
    "preview_px": {"preview_px": 40},
    "format": {"format": "webp"},
    "quality": {"format": "jpeg", "quality": 10},
    "width": {"width": 72},
    "height": {"height": 72},
    "strength": {"strength": 0.4},
    "mask": {"mask": "upload:x"},
    "regions": {"regions": [{"x": 4, "y": 4, "width": 40, "height": 36}]},
    "grow_px": {"grow_px": 9},
    "grow_px inwards": {"grow_px": -3},
    "grow_shape": {"grow_px": 9, "grow_shape": "box"},
    "fit_mask": {"mask": "upload:x", "fit_mask": True},
    "invert_mask": {"invert_mask": True},
    "context": {"context": 0.5},
    "upscale_model": {"upscale": 1.5, "upscale_model": "compact"},
    "shown upscaled": {"crop": True, "crop_margin_px": 8, "upscale_model": "compact"},
    "fill": {"fill": "blur"},
    "start": {"start": "picture"},
    "start from noise": {"start": "noise", "strength": 0.4},
    "soft_edge": {"soft_edge": "outside"},
    "inpaint_patch": {"inpaint_patch": "v2.6"},
    "full_steps": {"full_steps": True, "strength": 0.4},
    "size_rule": {"size_rule": "model"},
    "upscale": {"upscale": 1.5},
    "mask_blur_px": {"mask_blur_px": 0},
    "crop": {"crop": True, "crop_margin_px": 8},
    "crop_margin_px": {"crop": True, "crop_margin_px": 2},
    "area": {"area": {"x": 0, "y": 0, "width": 48, "height": 40}},
    "scale": {"scale": 0.5},
    "match_histograms": {"match_histograms": True},
    "keep_unmasked": {"keep_unmasked": False},
    "image_guidance_scale": {"image_guidance_scale": 3.0},
    "example": {"example": "upload:x"},
    "repaint_task": {"repaint_task": "object-remove"},
    "fitting_degree": {"fitting_degree": 0.5},
    "fitting_degree of a shape": {"fitting_degree": 0.5, "repaint_task": "shape-guided"},
    "left": {"left": 8},
    "top": {"top": 8},
    "right": {"right": 24},
    "bottom": {"bottom": 8},
    "overlap_px": {"overlap_px": 4},
}
"""What is asked beside the usual; FAMILY stands for the model's name."""

_CROPPED: Final = {"crop": True, "crop_margin_px": 8}
BESIDE: Final[Mapping[str, Mapping[str, Any]]] = {
    "crop_margin_px": _CROPPED,
    "shown upscaled": _CROPPED,
    **{change: {"steps": 3} for change in ("scheduler", "sharpness", "start from noise", "strength")},
}
"""What is also asked where a change is not, since it changes nothing of the usual."""
OF_TASK: Final = {
    *("wildcards_in_order", "prompt_syntax", "styles", "format", "quality", "mask", "regions"),
    *("grow_px", "grow_px inwards", "grow_shape", "fit_mask", "invert_mask", "mask_blur_px"),
    *("context", "crop", "crop_margin_px", "area", "scale", "match_histograms", "keep_unmasked", "soft_edge"),
    *("upscale", "upscale_model", "shown upscaled", "size_rule", "left", "top", "right", "bottom", "overlap_px"),
}
"""What tasks do before and after the model makes anything, the same for all families."""
OF_FAMILY: Final = {"sd2", "sdxl", "sdxl_inpaint", "sdxl_refiner", "paint_by_example"}
"""Those beside which another model, by a UNet too, does the same task: only what a family has a part in."""
_LARGER: Final = {("flux", "size_rule"), ("flux", "upscale"), ("flux", "upscale_model")}
"""Sizes that are chosen before the model, which a small UNet fills in a tenth of the time."""
PREVIEWED: Final = {"preview_px"}
"""What is seen in previews alone; they cost as much as steps, and are made for nothing else."""

FIXED: Final = {"model", "image", "deterministic", "keep_metadata", "metadata", "safety_check", "preset"}
"""What the table cannot change: the family, what it starts from or says of itself or may show, how, not what, is made,
and a name that was resolved before there was a job."""


def takes(name: str, change: str) -> bool:
    fields = TASKS[WAYS[name][0]].params.model_fields
    is_other = any(WAYS[name][1].get(field) != value for field, value in CHANGES[change].items())
    is_held_elsewhere = (name in OF_FAMILY and change in OF_TASK) or (name, change) in _LARGER
    return set(CHANGES[change]) <= set(fields) and is_other and not is_held_elsewhere


_NO = ErrorCode.INVALID_PARAMS
REFUSED: Final = {
    **{(name, "other latents"): _NO for name in WAYS if name not in ("sdxl", "sdxl_inpaint", "sd1")},
    **{(name, "refiner"): _NO for name in WAYS if name not in ("sdxl", "sdxl_inpaint", "sdxl_refiner")},
    **{(name, "controls"): _NO for name in WAYS if name not in ("sd1", "sd1_inpaint")},
    # It is for models that were not trained for inpainting, and here these make pictures from text.
    **{(name, "brushnet"): _NO for name in WAYS},
    **{(name, "image_prompts"): _NO for name in WAYS if name not in ("sd1", "sd1_inpaint")},
    ("pixart", "enhance"): _NO,
    **{(name, "rework"): _NO for name in ("sd1_inpaint", "sd2_inpaint", "sdxl_inpaint", "paint_by_example", "pixart")},
    **{(name, "embedding"): _NO for name in ("sdxl", "sdxl_inpaint", "sdxl_refiner")},
    **{("sdxl_refiner", change): _NO for change in ("loras", "tagged lora")},
    **{(name, "loras"): ErrorCode.BAD_MODEL for name in ("pixart", "paint_by_example")},
    **{(name, "tagged lora"): ErrorCode.BAD_MODEL for name in ("pixart", "paint_by_example")},
}
"""What fails the job: an addition for another family, or one this family takes none of."""
_TRANSFORMERS = ("sd3", "flux", "flux_dev", "pixart")
_PENULTIMATE = ("sdxl", "sdxl_inpaint", "sdxl_refiner")
_TOLD_SIZES = ("sdxl", "sdxl_inpaint")
TOLD: Final = [
    *((name, change, "prompt_weights_ignored") for name in _TRANSFORMERS for change in ("weights", "break")),
    *((name, "embedding", "embedding_ignored") for name in _TRANSFORMERS),
    *((name, "prompt_syntax", "prompt_texts_joined") for name in _TRANSFORMERS),
    *((name, "wildcards_in_order", "wildcards_in_order_unused") for name in WAYS),
    *((name, "freeu", "freeu_unused") for name in _TRANSFORMERS),
    *((name, "prompt too long", "prompt_truncated") for name in _TRANSFORMERS),
    *((name, "clip_skip", "clip_skip_unused") for name in ("flux", "flux_dev", "pixart")),
    *((name, "last layer", "clip_skip_unused") for name in WAYS if name not in (*_PENULTIMATE, "sd3")),
    *((name, "negative_prompt", "negative_prompt_unused") for name in ("flux", "flux_dev")),
    *((name, "scheduler", "sampler_not_for_model") for name in ("sd3", "flux", "flux_dev")),
    *((name, "flow scheduler", "sampler_not_for_model") for name in WAYS if name not in ("sd3", "flux", "flux_dev")),
    *((name, "eta", "eta_unused") for name in ("sdxl", "sdxl_inpaint", "sdxl_refiner", "sd3", "flux", "flux_dev")),
    *((name, "refiner_start", "refiner_unused") for name in WAYS),
    *((name, "refiner_start_by", "refiner_unused") for name in WAYS),
    *((name, "refiner_swap", "refiner_unused") for name in WAYS),
    *((name, "sharpness", "sharpness_unused") for name in ("flux", "flux_dev", "pixart")),
    *((name, "adaptive_guidance", "adaptive_guidance_unused") for name in ("flux", "flux_dev", "pixart")),
    *((name, "size_conditioning", "size_conditioning_unused") for name in WAYS if name not in _TOLD_SIZES),
    *((name, "control_softness", "control_softness_unused") for name in WAYS),
    *(("paint_by_example", change, f"{change}_unused") for change in ("prompt", "negative_prompt", "clip_skip")),
    *((name, "strength", "strength_unused") for name in ("instruct_pix2pix", "paint_by_example")),
    *((name, "image_guidance_scale", "image_guidance_scale_unused") for name in ("sd1_inpaint", "paint_by_example")),
    *((name, "example", "example_unused") for name in ("sd1_inpaint", "sd2_inpaint", "flux_dev")),
    *((name, "repaint_task", "repaint_task_unused") for name in ("sd1_inpaint", "paint_by_example")),
    *((name, "fitting_degree", "fitting_degree_unused") for name in ("sd2_inpaint", "paint_by_example")),
    *((name, "inpaint_patch", "inpaint_patch_unused") for name in ("sd1_inpaint", "sdxl_inpaint", "sd3")),
    ("sd3", "fill", "fill_unused"),
    ("sd3", "start", "start_unused"),
    *((name, "performance", "performance_unused") for name in WAYS),
]
"""What changes nothing, or not all of it, and is said."""

CASES: Final = [(name, change) for name in WAYS for change in CHANGES if takes(name, change)]


def at_once(*_: object) -> Generator[Call, Any, float]:
    """Stands in for `timed`: a decoder that takes no time. To find out costs more than all the steps of a job."""
    yield from ()
    return 0.0


@pytest.fixture(scope="module", autouse=True)
def _untimed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.diffusion.previews.timed", at_once)
        yield


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    added = tmp_path_factory.mktemp("with-additions")
    for name in WAYS:
        pipeline: Any = FOLDERS[name]()
        tiny_folder(name)
        (added / "loras").mkdir(exist_ok=True)
        # So narrow a text encoder could be anybody's: the file says whose it is, as trainers' do.
        told = {"ss_base_model_version": "sd_v2"} if name.startswith("sd2") else None
        save_file(lora(pipeline), added / "loras" / f"{name}-lora.safetensors", metadata=told)
        config = pipeline.vae.config
        with tiny_models.seeded(77):
            vae = tiny_models.make_vae(
                config.scaling_factor,
                config.latent_channels,
                shift_factor=config.shift_factor,
                use_quant_conv=config.use_quant_conv,
                use_post_quant_conv=config.use_post_quant_conv,
            )
        vae.save_pretrained(added / "vae" / f"{name}-vae")
    for folder in ("embeddings", "ip_adapter"):
        (added / folder).mkdir()
    sd1: Any = FOLDERS["sd1"]()
    save_file({"emb_params": tiny_adapters.embedding()}, added / "embeddings" / "mine.safetensors")
    save_file(tiny_adapters.ip_adapter(sd1.unet), added / "ip_adapter" / "sd1-style.safetensors")
    tiny_models.make_image_encoder().save_pretrained(added / "ip_adapter" / "image_encoder")
    tiny_folder("controlnet")
    make_brushnet().save_pretrained(added / "brushnet" / "tiny-brush")
    # With the packaged weights of Real-ESRGAN.
    return studio_of(tiny_folder("sd1").parent, added, residency=Residency(MODELS_DIR, "cpu"))


def lora(pipeline: Any) -> dict[str, torch.Tensor]:
    """One for the denoiser, under the names diffusers uses."""
    if hasattr(pipeline, "unet"):
        return tiny_adapters.diffusers_lora(pipeline, text=False)
    tensors = {}
    with tiny_models.seeded(3):
        for path, layer in pipeline.transformer.named_modules():
            if isinstance(layer, nn.Linear) and path.endswith((".to_q", ".to_k")):
                tensors[f"transformer.{path}.lora_A.weight"] = torch.randn(2, layer.in_features)
                tensors[f"transformer.{path}.lora_B.weight"] = torch.randn(layer.out_features, 2)
    return tensors


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[4:40, 6:20] = 255
    photo = save(folder / "photo.png", PHOTO)
    return {
        "image": photo,
        "example": photo,
        "controls[0].image": photo,
        "image_prompts[0].image": photo,
        "mask": save(folder / "mask.png", mask),
    }


def given(name: str, params: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Path]:
    """Of `inputs` those that these parameters ask for."""
    task = WAYS[name][0]
    asked = set(params) | (set() if task is TaskName.TEXT_TO_IMAGE else {"image"})
    return {field: path for field, path in inputs.items() if field.partition("[")[0] in asked}


def asked(name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    params = {"model": name, "steps": 2, "prompt": "a cat", **WAYS[name][1], **change}
    return {key: _named(value, name) for key, value in params.items()}


def _named(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace("FAMILY", name)
    if isinstance(value, list):
        return [_named(each, name) for each in value]
    return {key: _named(each, name) for key, each in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def run(studio: Studio, inputs: Mapping[str, Path]) -> Any:
    """Makes a job of a model and a change; each only once."""
    known: dict[str, Driver] = {}

    def made(name: str, change: Mapping[str, Any], previews: Previews = Previews.NONE) -> Driver:
        params = asked(name, change)
        key = repr((params, previews))
        if key not in known:
            pictures = given(name, params, inputs)
            known[key] = make(studio, params, task=WAYS[name][0], inputs=pictures, previews=previews)
        return known[key]

    return made


def seen(driver: Driver) -> list[Any]:
    """All that a client gets: files, steps, sizes of previews."""
    files = [driver.outputs[index].content for index in sorted(driver.outputs)]
    steps = [(told.step, told.steps) for told in driver.of_type(StepFinished)]
    return [files, steps, [picture.shape for picture in driver.pictures]]


def test_every_parameter_is_in_the_table() -> None:
    changed = {name for change in CHANGES.values() for name in change}
    for task, _ in WAYS.values():
        assert set(TASKS[task].params.model_fields) - FIXED <= changed
    generating = {task for task in TASKS if "guidance_scale" in TASKS[task].params.model_fields}
    # Its stages are the work of the others; see test_enhancing.py.
    assert {task for task, _ in WAYS.values()} == generating - {TaskName.ENHANCE}


@pytest.mark.parametrize(("name", "change"), CASES)
def test_a_parameter_acts_or_is_said_not_to(run: Any, name: str, change: str) -> None:
    before = run(name, BESIDE.get(change, {}), shown_for(change))
    assert before.warnings == []
    refused, after = tried(run, name, change)
    assert refused == REFUSED.get((name, change)), "refused, or made, other than expected"
    assert after is None or after.warnings or seen(after) != seen(before)


@pytest.mark.parametrize(("name", "parameter", "code"), TOLD)
def test_what_a_family_cannot_use_is_told(run: Any, name: str, parameter: str, code: str) -> None:
    assert run(name, CHANGES[parameter]).warnings == [code]


def test_models_that_answer_in_pairs_are_sharpened_and_guided_less_at_first(run: Any) -> None:
    for name in (name for name in WAYS if name not in ("flux", "flux_dev", "pixart", "instruct_pix2pix")):
        for change in ("sharpness", "adaptive_guidance"):
            assert run(name, CHANGES[change]).warnings == []


def test_flux_without_guidance_of_its_own_is_guided_by_a_second_forward(run: Any) -> None:
    plain = run("flux", {})
    guided = run("flux", {"guidance_scale": 2.5})
    against = run("flux", {"guidance_scale": 2.5, "negative_prompt": "blurred"})
    pictures = [driver.outputs[0].content for driver in (plain, guided, against)]
    assert len(set(pictures)) == 3
    assert against.warnings == []


def test_flux_with_guidance_of_its_own_has_no_use_for_a_negative_prompt(run: Any) -> None:
    told = run("flux_dev", {"guidance_scale": 2.5, "negative_prompt": "blurred"})
    assert told.warnings == ["negative_prompt_unused"]
    assert told.outputs[0].content == run("flux_dev", {"guidance_scale": 2.5}).outputs[0].content


def test_more_clip_skip_than_there_are_layers_is_refused(run: Any) -> None:
    for name in ("sd1", "sdxl", "sd3"):
        with pytest.raises(EngineError, match=r"clip_skip: expected (0|-1)\.\.1 for this model, got 2"):
            run(name, {"clip_skip": 2})


def tried(run: Any, name: str, change: str) -> tuple[ErrorCode | None, Driver | None]:
    """Why it was refused, or what was made."""
    try:
        return None, run(name, {**BESIDE.get(change, {}), **CHANGES[change]}, shown_for(change))
    except EngineError as error:
        return error.code, None


def shown_for(change: str) -> Previews:
    return Previews.ALL if change in PREVIEWED else Previews.NONE
