"""IP-Adapters: pictures as prompts, for the jobs that give them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import save_file

from engine.describing.faces import Face, FaceWithPoints
from engine.diffusion.studio import ReadyModel, Studio
from engine.interface import Call, EngineError
from engine.models.residency import Residency
from engine.models.resident import Key
from protocol.errors import ErrorCode
from tests import tiny_adapters
from tests.tiny_models import make_image_encoder
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, pixels, studio_of
from tests.unit.engine.pictures import save

ALONE = {"deterministic": True, "guidance_scale": 3.0}
FIRST = np.random.default_rng(2).integers(0, 256, (40, 50, 3), np.uint8)
SECOND = np.full((32, 32, 3), 200, np.uint8)


def adapter(seed: int) -> dict[str, torch.Tensor]:
    pipeline: Any = FOLDERS["sd1"]()
    return tiny_adapters.ip_adapter(pipeline.unet, seed=seed)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-adapters") / "ip_adapter"
    folder.mkdir()
    save_file(adapter(4), folder / "style.safetensors")
    save_file(adapter(9), folder / "face.safetensors")
    save_file({name: t for name, t in adapter(4).items() if "5.to_v" not in name}, folder / "torn.safetensors")
    save_file(
        adapter(4) | {"image_proj.proj.weight": torch.randn(4 * 16, 7)},
        folder / "blind.safetensors",
    )
    make_image_encoder().save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture
def studio(tiny_folder: TinyFolder, adapters: Path) -> Studio:
    tiny_folder("flux")
    return studio_of(tiny_folder("sd1").parent, adapters.parent)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {
        "image_prompts[0].image": save(tmp_path / "first.png", FIRST),
        "image_prompts[1].image": save(tmp_path / "second.png", SECOND),
    }


def prompt(model: str, **more: float) -> dict[str, Any]:
    return {"model": model, "image": "upload:x", **more}


def shown(studio: Studio, inputs: dict[str, Path], *prompts: dict[str, Any], **params: Any) -> Pixels:
    return draw(studio, {**ALONE, **params, "image_prompts": prompts}, inputs=inputs)


def stock(
    tiny_folder: TinyFolder,
    adapters: Path,
    weights: dict[str, float],
    pictures: list[Any],
    guidance: float,
    later: dict[int, list[float]] | None = None,
) -> Pixels:
    """
    Args:
        later: weights from a step on, counted from 0.
    """

    def turn(pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step + 1 in (later or {}):
            pipeline.set_ip_adapter_scale((later or {})[step + 1])
        return tensors

    plain = DiffusionPipeline.from_pretrained(tiny_folder("sd1"))
    pipeline: Any = StableDiffusionPipeline(
        **{**plain.components, "image_encoder": make_image_encoder(), "feature_extractor": None},
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(adapters),
        subfolder="",
        weight_name=[f"{name}.safetensors" for name in weights],
        image_encoder_folder=None,
    )
    pipeline.set_ip_adapter_scale((later or {}).get(0, list(weights.values())))
    drawn = pipeline(
        "a cat",
        num_inference_steps=3,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
        callback_on_step_end=turn,
        ip_adapter_image=[Image.fromarray(picture) for picture in pictures],
    )
    return np.asarray(drawn.images[0])


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("weights", [{"style": 0.8}, {"style": 0.5, "face": 1.2}], ids=str)
def test_image_prompts_draw_what_a_stock_pipeline_with_them_draws(
    studio: Studio,
    tiny_folder: TinyFolder,
    adapters: Path,
    inputs: dict[str, Path],
    weights: dict[str, float],
    guidance: float,
) -> None:
    prompts = [prompt(name, weight=weight) for name, weight in weights.items()]
    made = shown(studio, inputs, *prompts, guidance_scale=guidance)
    expected = stock(tiny_folder, adapters, weights, [FIRST, SECOND][: len(weights)], guidance)
    assert np.abs(made / 255 - expected).max() < 0.51 / 255
    assert not np.array_equal(made, draw(studio, {**ALONE, "guidance_scale": guidance}))


def test_picture_and_weight_count(studio: Studio, inputs: dict[str, Path]) -> None:
    usual = shown(studio, inputs, prompt("style"))
    assert not np.array_equal(shown(studio, inputs, prompt("style", weight=0.4)), usual)
    swapped = {"image_prompts[0].image": inputs["image_prompts[1].image"]}
    assert not np.array_equal(shown(studio, swapped, prompt("style")), usual)


def test_an_image_prompt_counts_between_its_start_and_its_end(
    studio: Studio, tiny_folder: TinyFolder, adapters: Path, inputs: dict[str, Path]
) -> None:
    made = shown(studio, inputs, prompt("style", weight=0.8, end=0.5), prompt("face", start=0.6), steps=3)
    weights = {"style": 0.8, "face": 1.0}
    turns = {0: [0.8, 0.0], 1: [0.0, 0.0], 2: [0.0, 1.0]}
    expected = stock(tiny_folder, adapters, weights, [FIRST, SECOND], 3.0, turns)
    assert np.abs(made / 255 - expected).max() < 0.51 / 255
    assert not np.array_equal(made, shown(studio, inputs, prompt("style", weight=0.8), prompt("face")))


def test_every_image_of_a_job_has_the_same_times(studio: Studio, inputs: dict[str, Path]) -> None:
    params = {**ALONE, "image_prompts": [prompt("style", end=0.4)], "images": 2}
    there = {"image_prompts[0].image": inputs["image_prompts[0].image"]}
    second = make(studio, params, inputs=there).outputs[1].content
    assert np.array_equal(pixels(second), draw(studio, {**params, "images": 1, "seed": 6}, inputs=there))


def test_what_lay_over_the_model_for_a_part_of_the_steps_is_lifted_off(studio: Studio, inputs: dict[str, Path]) -> None:
    before = draw(studio, ALONE)
    shown(studio, inputs, prompt("style", end=0.4))
    ready = studio._residency._residents[Key("checkpoint:sd1")].network
    assert isinstance(ready, ReadyModel)
    unet: Any = ready.loaded.denoiser
    assert unet.encoder_hid_proj is None
    assert np.array_equal(draw(studio, ALONE), before)


def test_a_squashed_picture_shows_what_cropping_cuts_off(studio: Studio, inputs: dict[str, Path]) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, :32] = 255
    save(inputs["image_prompts[0].image"], wide)
    black = inputs | {"image_prompts[0].image": save(inputs["image_prompts[1].image"], wide * 0)}

    def drawn(there: dict[str, Path], **more: str) -> Pixels:
        asked = {"model": "style", "image": "upload:x", **more}
        there = {"image_prompts[0].image": there["image_prompts[0].image"]}
        return draw(studio, {**ALONE, "image_prompts": [asked]}, inputs=there)

    assert np.array_equal(drawn(inputs), drawn(black))
    assert not np.array_equal(drawn(inputs, fit="squash"), drawn(black, fit="squash"))


class FindsAFace(Residency):
    """In every picture, at its upper left."""

    def use(self, name: str, load: object) -> Any:
        assert name == "centerface"
        return (yield Call(lambda: self, stage="load"))

    def find_with_points(self, _image: Any) -> list[FaceWithPoints]:
        points = np.array([[8, 10], [16, 10], [12, 15], [9, 19], [15, 19]], np.float32)
        return [FaceWithPoints(Face(x=4, y=4, width=16, height=20, confidence=0.9), points)]


def test_of_a_picture_whose_face_is_wanted_the_face_alone_counts(
    tiny_folder: TinyFolder, adapters: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    studio = studio_of(tiny_folder("sd1").parent, adapters.parent, residency=FindsAFace(Path(), "cpu"))
    other = FIRST.copy()
    other[:, 40:] = 255
    elsewhere = {"image_prompts[0].image": save(tmp_path / "other.png", other)}
    there = {"image_prompts[0].image": inputs["image_prompts[0].image"]}
    face = {**prompt("style"), "kind": "face"}
    of_face = shown(studio, there, face)
    assert np.array_equal(shown(studio, elsewhere, face), of_face)
    assert not np.array_equal(shown(studio, there, prompt("style")), of_face)


def test_none_is_left_behind(studio: Studio, inputs: dict[str, Path]) -> None:
    before = draw(studio, ALONE)
    shown(studio, inputs, prompt("style"))
    assert np.array_equal(draw(studio, ALONE), before)
    ready = studio._residency._residents[Key("checkpoint:sd1")].network
    assert isinstance(ready, ReadyModel)
    unet: Any = ready.loaded.denoiser
    assert unet.encoder_hid_proj is None
    assert unet.config.encoder_hid_dim_type is None
    assert ready.ip_adapters.size_bytes > 0
    ready.ip_adapters._most_bytes = 0
    shown(studio, inputs, prompt("face"))
    assert ready.ip_adapters.size_bytes == 0


@pytest.mark.parametrize("alone", [True, False], ids=["interleaved", "batched"])
def test_jobs_with_other_image_prompts_at_once_draw_what_they_draw_alone(
    studio: Studio, inputs: dict[str, Path], alone: bool
) -> None:
    jobs: list[dict[str, Any]] = [
        {"image_prompts": [prompt("style")]},
        {},
        {"image_prompts": [prompt("style", weight=0.5)]},
        {"image_prompts": [prompt("style", end=0.4)]},
        {"image_prompts": [prompt("face"), prompt("style")], "freeu": {}},
        {"image_prompts": [prompt("style")], "seed": 6, "steps": 5},
    ]
    asked = [{**ALONE, "deterministic": alone, **job} for job in jobs]
    expected = [draw(studio, job, inputs=inputs) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked, inputs=inputs), expected, strict=True):
        assert np.abs(made.astype(int) - wanted).max() <= (0 if alone else 1)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"image_prompts": [prompt("nobody")]}, ErrorCode.MODEL_MISSING, "no ip adapter 'nobody'"),
        ({"image_prompts": [prompt("torn")]}, ErrorCode.BAD_MODEL, "'torn' cannot be used"),
        ({"image_prompts": [prompt("blind")]}, ErrorCode.MODEL_MISSING, "needs one of width 7"),
        ({"image_prompts": [prompt("style")], "model": "flux"}, ErrorCode.INVALID_PARAMS, "of the family flux"),
    ],
    ids=["missing", "torn", "without an encoder", "for a model without"],
)
def test_what_cannot_be_used_is_refused_and_leaves_the_model_as_it_was(
    studio: Studio, inputs: dict[str, Path], params: dict[str, Any], code: ErrorCode, message: str
) -> None:
    before = draw(studio, ALONE)
    with pytest.raises(EngineError, match=message) as error:
        draw(studio, {**ALONE, **params}, inputs=inputs)
    assert error.value.code is code
    assert np.array_equal(draw(studio, ALONE), before)
