"""ControlNets: what they make of a picture, for the jobs that name them."""

from pathlib import Path
from typing import Any

import cv2
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from engine.diffusion.control_loras import build_from_lora
from engine.diffusion.control_pictures import Subject, control_picture
from engine.diffusion.scope import AdapterState, switch_adapters
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import from_uint8, to_uint8
from engine.interface import EngineError
from engine.models.residency import Residency
from engine.models.resident import Key
from engine.preprocessing.depth_network import load_depth_network, nearness
from protocol.errors import ErrorCode
from protocol.events import StepFinished
from protocol.guides import ControlRef
from protocol.requests import TaskName
from tests import tiny_adapters
from tests.tiny_files import write_single_file
from tests.tiny_models import make_controlnet, make_sdxl, make_xl_unet, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of
from tests.unit.engine.pictures import save
from tests.unit.engine.preprocessing.test_depth_network import put

ALONE = {"deterministic": True, "guidance_scale": 3.0, "steps": 4}
EDGES = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
LINES = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
PHOTO = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
REGION = {"x": 16, "y": 8, "width": 30, "height": 40}


def seeing(net: Any) -> Any:
    """With layers to look through that are not as good as blind, as those are that nobody trained."""
    with seeded(8):
        sight = net.controlnet_cond_embedding
        for layer in (sight.conv_in, *sight.blocks, sight.conv_out):
            torch.nn.init.normal_(layer.weight, std=0.4)
    return net


def xl_net(unet: Any = None) -> Any:
    with seeded(6):
        net = diffusers.ControlNetModel.from_unet(
            unet or make_xl_unet(), conditioning_embedding_out_channels=(4, 8, 8, 8)
        )
        for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
            torch.nn.init.normal_(layer.weight, std=0.5)
    return net.requires_grad_(requires_grad=False).eval()


NETS = {
    "edges": lambda: seeing(make_controlnet()),
    "depth": lambda: seeing(make_controlnet(seed=7)),
    "xl": lambda: seeing(xl_net()),
}


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-nets") / "controlnet"
    folder.mkdir()
    for name, made in NETS.items():
        made().save_pretrained(folder / name)
    write_single_file(tiny_adapters.controlnet_tensors(NETS["edges"]()), folder / "edges-file.safetensors")
    tensors = tiny_adapters.controlnet_tensors(NETS["edges"]())
    tensors.pop("control_model.middle_block_out.0.weight")
    write_single_file(tensors, folder / "torn.safetensors")
    write_single_file(tiny_adapters.controlnet_tensors(NETS["xl"]()), folder / "xl-file.safetensors")
    changed = seeing(xl_net(make_sdxl().unet))
    write_single_file(tiny_adapters.control_lora(changed), folder / "changes.safetensors")
    changed.save_pretrained(folder / "changed")
    half = tiny_adapters.control_lora(seeing(xl_net()))
    half.pop("zero_convs.1.0.weight")
    write_single_file(half, folder / "half.safetensors")
    other = make_sdxl()
    for weight in other.unet.parameters():
        weight *= 1.1
    other.save_pretrained(folder.parent / "other-xl")
    return folder.parent


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, nets: Path) -> Studio:
    for name in ("sd1_inpaint", "sdxl", "flux"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent, nets)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {
        "image": save(tmp_path / "photo.png", PHOTO),
        "controls[0].image": save(tmp_path / "edges.png", EDGES),
        "controls[1].image": save(tmp_path / "lines.png", LINES),
    }


def control(model: str, **more: float) -> dict[str, Any]:
    return {"model": model, "image": "upload:x", **more}


def guided(studio: Studio, inputs: dict[str, Path], *controls: dict[str, Any], **params: Any) -> Pixels:
    there = {name: inputs[name] for name in [f"controls[{number}].image" for number in range(len(controls))]}
    return draw(studio, {**ALONE, **params, "controls": controls}, inputs=there)


def stock(tiny_folder: TinyFolder, pipeline_class: str, model: str, net: Any, **given: Any) -> Pixels:
    plain = diffusers.DiffusionPipeline.from_pretrained(tiny_folder(model))
    pipeline = getattr(diffusers, pipeline_class).from_pipe(plain, controlnet=net)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        "a cat",
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
        **given,
    )
    return np.asarray(drawn.images[0])


def near(made: Pixels, expected: Pixels) -> bool:
    return bool(np.abs(made / 255 - expected).max() < 0.51 / 255)


@pytest.mark.parametrize(
    ("model", "name", "twin", "pipeline_class"),
    [
        ("sd1", "edges", "edges", "StableDiffusionControlNetPipeline"),
        ("sd1", "edges-file", "edges", "StableDiffusionControlNetPipeline"),
        ("sdxl", "xl", "xl", "StableDiffusionXLControlNetPipeline"),
        ("sdxl", "xl-file", "xl", "StableDiffusionXLControlNetPipeline"),
    ],
)
def test_a_controlnet_draws_what_a_stock_pipeline_with_it_draws(
    studio: Studio,
    tiny_folder: TinyFolder,
    inputs: dict[str, Path],
    model: str,
    name: str,
    twin: str,
    pipeline_class: str,
) -> None:
    made = guided(studio, inputs, control(name, scale=0.8, end=0.6), model=model)
    expected = stock(
        tiny_folder,
        pipeline_class,
        model,
        NETS[twin](),
        image=Image.fromarray(EDGES),
        controlnet_conditioning_scale=0.8,
        control_guidance_end=0.6,
    )
    assert near(made, expected)
    assert not np.array_equal(made, draw(studio, {**ALONE, "model": model}))


def test_a_control_lora_draws_what_the_controlnet_it_stands_for_draws(studio: Studio, inputs: dict[str, Path]) -> None:
    drawn = [guided(studio, inputs, control(name, scale=0.8), model="sdxl") for name in ("changes", "changed", "xl")]
    assert np.abs(drawn[0].astype(int) - drawn[1]).max() <= 1
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_control_lora_is_another_controlnet_for_another_model(studio: Studio, inputs: dict[str, Path]) -> None:
    first = guided(studio, inputs, control("changes"), model="sdxl")
    other, whole = (guided(studio, inputs, control(name), model="other-xl") for name in ("changes", "changed"))
    assert not np.array_equal(other, whole), "the whole one is that of the first model"
    assert np.array_equal(guided(studio, inputs, control("changes"), model="sdxl"), first)


def test_a_control_lora_is_made_of_the_model_without_what_lies_over_it(studio: Studio, nets: Path) -> None:
    draw(studio, {**ALONE, "model": "sdxl"})
    ready = studio._residency._residents[Key("checkpoint:sdxl")].network
    assert isinstance(ready, ReadyModel)
    tensors = load_file(nets / "controlnet" / "changes.safetensors")
    unet: Any = ready.loaded.denoiser

    def made() -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = build_from_lora(tensors, ready.loaded).state_dict()
        return state

    expected = made()
    doubled = AdapterState("twice", lambda _: _scale(unet, 2.0), lambda _: _scale(unet, 0.5))
    switch_adapters(unet, doubled)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in made().items())


def _scale(unet: Any, factor: float) -> None:
    for weight in unet.mid_block.parameters():
        weight *= factor


def test_several_controlnets_draw_what_a_stock_pipeline_with_them_draws(
    studio: Studio, tiny_folder: TinyFolder, inputs: dict[str, Path]
) -> None:
    made = guided(studio, inputs, control("edges", scale=0.5), control("depth", start=0.25, scale=1.5))
    expected = stock(
        tiny_folder,
        "StableDiffusionControlNetPipeline",
        "sd1",
        [NETS["edges"](), NETS["depth"]()],
        image=[Image.fromarray(EDGES), Image.fromarray(LINES)],
        controlnet_conditioning_scale=[0.5, 1.5],
        control_guidance_start=[0.0, 0.25],
        control_guidance_end=[1.0, 1.0],
    )
    assert near(made, expected)


@pytest.mark.parametrize(
    ("model", "name", "pipeline_class"),
    [
        ("sd1", "edges", "StableDiffusionControlNetImg2ImgPipeline"),
        ("sdxl", "xl", "StableDiffusionXLControlNetImg2ImgPipeline"),
    ],
)
def test_a_picture_is_changed_along_a_control_as_by_a_stock_pipeline(
    studio: Studio, tiny_folder: TinyFolder, inputs: dict[str, Path], model: str, name: str, pipeline_class: str
) -> None:
    params = {**ALONE, "model": model, "controls": [control(name)], "strength": 0.5}
    there = {name: inputs[name] for name in ("image", "controls[0].image")}
    made = draw(studio, params, task=TaskName.IMAGE_TO_IMAGE, inputs=there)
    expected = stock(
        tiny_folder,
        pipeline_class,
        model,
        NETS[name](),
        image=Image.fromarray(PHOTO),
        control_image=Image.fromarray(EDGES),
        controlnet_conditioning_scale=1.0,
        strength=0.5,
    )
    assert near(made, expected)


@pytest.mark.parametrize("model", ["sd1", "sd1_inpaint"])
def test_a_hole_is_filled_along_a_control_as_by_a_stock_pipeline(
    studio: Studio, tiny_folder: TinyFolder, inputs: dict[str, Path], model: str
) -> None:
    params = {
        **ALONE,
        "model": model,
        "controls": [control("edges")],
        "regions": [REGION],
        "crop": False,
        "mask_blur_px": 0,
    }
    there = {name: inputs[name] for name in ("image", "controls[0].image")}
    made = draw(studio, params, task=TaskName.INPAINT, inputs=there)
    hole = np.zeros((64, 64), np.uint8)
    hole[8:48, 16:46] = 255
    expected = stock(
        tiny_folder,
        "StableDiffusionControlNetInpaintPipeline",
        model,
        NETS["edges"](),
        image=Image.fromarray(PHOTO),
        mask_image=Image.fromarray(hole),
        control_image=Image.fromarray(EDGES),
        controlnet_conditioning_scale=1.0,
        strength=1.0,
    )
    assert near(made[hole > 0], expected[hole > 0])
    assert np.array_equal(made[hole == 0], PHOTO[hole == 0])


@pytest.mark.parametrize("preprocess", ["canny", "inpaint"])
@pytest.mark.parametrize("model", ["sd1", "sd1_inpaint"])
def test_a_control_picture_made_of_the_jobs_own_is_that_of_a_stock_pipeline(
    studio: Studio, tiny_folder: TinyFolder, inputs: dict[str, Path], model: str, preprocess: str
) -> None:
    hole = np.zeros((64, 64), np.uint8)
    hole[8:48, 16:46] = 255
    shown = PHOTO.astype(np.float32) / 255
    if preprocess == "canny":
        shown = np.repeat(cv2.Canny(PHOTO, 100, 200)[..., None], 3, axis=2).astype(np.float32) / 255
    else:
        shown[hole > 0] = -1
    params = {
        **ALONE,
        "model": model,
        "controls": [{"model": "edges", "preprocess": preprocess}],
        "regions": [REGION],
        "crop": False,
        "mask_blur_px": 0,
    }
    made = draw(studio, params, task=TaskName.INPAINT, inputs={"image": inputs["image"]})
    expected = stock(
        tiny_folder,
        "StableDiffusionControlNetInpaintPipeline",
        model,
        NETS["edges"](),
        image=Image.fromarray(PHOTO),
        mask_image=Image.fromarray(hole),
        control_image=torch.from_numpy(shown).permute(2, 0, 1)[None],
        controlnet_conditioning_scale=1.0,
        strength=1.0,
    )
    assert near(made[hole > 0], expected[hole > 0])
    assert np.array_equal(made[hole == 0], PHOTO[hole == 0])


@pytest.mark.parametrize("task", [TaskName.IMAGE_TO_IMAGE, TaskName.INPAINT])
def test_the_jobs_own_picture_is_what_its_controls_are_made_of_unless_they_name_one(
    studio: Studio, inputs: dict[str, Path], task: TaskName
) -> None:
    params = {**ALONE, "crop": False, "regions": [REGION]} if task is TaskName.INPAINT else {**ALONE, "strength": 0.5}
    own = {"image": inputs["image"]}
    twice = own | {"controls[0].image": inputs["image"]}
    other = own | {"controls[0].image": inputs["controls[0].image"]}
    edges = {"model": "edges", "preprocess": "canny"}

    def drawn(there: dict[str, Path], **more: str) -> Pixels:
        return draw(studio, {**params, "controls": [{**edges, **more}]}, task=task, inputs=there)

    of_own = drawn(own)
    assert np.array_equal(drawn(twice, image="upload:x"), of_own)
    assert not np.array_equal(drawn(other, image="upload:x"), of_own)


@pytest.mark.parametrize("preprocess", ["canny", "inpaint"])
def test_a_border_is_painted_along_a_control_made_of_the_enlarged_picture(
    studio: Studio, inputs: dict[str, Path], preprocess: str
) -> None:
    def drawn(**more: Any) -> Pixels:
        params = {**ALONE, "right": 32, **more}
        return draw(studio, params, task=TaskName.OUTPAINT, inputs={"image": inputs["image"]})

    made = drawn(controls=[{"model": "edges", "preprocess": preprocess}])
    assert made.shape == (64, 96, 3)
    assert not np.array_equal(made, drawn())
    assert np.array_equal(drawn(controls=[{"model": "edges", "preprocess": preprocess, "scale": 0.0}]), drawn())


def test_with_crop_a_control_is_cut_out_with_the_picture(studio: Studio, inputs: dict[str, Path]) -> None:
    there = {name: inputs[name] for name in ("image", "controls[0].image")}
    params = {**ALONE, "controls": [control("edges")], "regions": [{**REGION, "width": 8, "height": 8}]}
    params |= {"crop_margin_px": 4}
    before = draw(studio, params, task=TaskName.INPAINT, inputs=there)
    far = EDGES.copy()
    far[:, 56:] = 0
    save(inputs["controls[0].image"], far)
    assert np.array_equal(draw(studio, params, task=TaskName.INPAINT, inputs=there), before)
    save(inputs["controls[0].image"], 255 - EDGES)
    assert not np.array_equal(draw(studio, params, task=TaskName.INPAINT, inputs=there), before)


def test_the_picture_of_a_control_counts(studio: Studio, inputs: dict[str, Path]) -> None:
    before = guided(studio, inputs, control("edges"))
    assert not np.array_equal(guided(studio, inputs | {"controls[0].image": inputs["image"]}, control("edges")), before)


@pytest.mark.parametrize("changed", [{"scale": 0.3}, {"start": 0.5}, {"end": 0.5}], ids=str)
def test_every_setting_of_a_control_counts(studio: Studio, inputs: dict[str, Path], changed: dict[str, float]) -> None:
    usual = guided(studio, inputs, control("edges"))
    assert not np.array_equal(guided(studio, inputs, control("edges", **changed)), usual)


@pytest.mark.parametrize("preprocess", ["pyra_canny", "cpds"])
def test_a_picture_is_made_a_control_picture_before_it_is_followed(
    studio: Studio, inputs: dict[str, Path], preprocess: str, tmp_path: Path
) -> None:
    asked = {**control("edges"), "preprocess": preprocess}
    made_before = control_picture(ControlRef.model_validate(asked), Subject(from_uint8(EDGES)))
    ready = {"controls[0].image": save(tmp_path / "made.png", to_uint8(made_before))}
    made = guided(studio, inputs, asked)
    assert np.abs(made.astype(int) - guided(studio, ready, control("edges"))).max() <= 1
    assert not np.array_equal(made, guided(studio, inputs, control("edges")))


def test_depth_is_told_before_it_is_followed(
    studio: Studio, nets: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    put(nets / "dpt-large", "dpt-large", side=32)
    network = load_depth_network(nets / "dpt-large" / "model.safetensors", "cpu")
    told = save(tmp_path / "told.png", to_uint8(nearness(network, from_uint8(EDGES))))
    made = guided(studio, inputs, {**control("edges"), "preprocess": "depth"})
    assert np.abs(made.astype(int) - guided(studio, {"controls[0].image": told}, control("edges"))).max() <= 1
    own = {**ALONE, "strength": 0.5, "controls": [{"model": "edges", "preprocess": "depth"}]}
    there = {"image": inputs["controls[0].image"]}
    beside = {**own, "controls": [control("edges")]}
    of_own = draw(studio, own, task=TaskName.IMAGE_TO_IMAGE, inputs=there)
    assert (
        np.abs(
            of_own.astype(int)
            - draw(studio, beside, task=TaskName.IMAGE_TO_IMAGE, inputs=there | {"controls[0].image": told})
        ).max()
        <= 1
    )


def test_what_covers_the_output_is_the_middle_of_the_picture(
    studio: Studio, inputs: dict[str, Path], tmp_path: Path
) -> None:
    wide = np.zeros((64, 160, 3), np.uint8)
    wide[:, 48:112] = EDGES
    wide[:, :30] = wide[:, 130:] = 200
    there = {"controls[0].image": save(tmp_path / "wide.png", wide)}
    covered = guided(studio, there, {**control("edges"), "fit": "cover"})
    assert np.array_equal(covered, guided(studio, inputs, control("edges")))
    assert not np.array_equal(covered, guided(studio, there, control("edges")))


def test_with_crop_a_covering_picture_lies_over_the_whole_output(
    studio: Studio, inputs: dict[str, Path], tmp_path: Path
) -> None:
    params = {**ALONE, "regions": [{**REGION, "width": 8, "height": 8}], "crop_margin_px": 4}
    wide = np.zeros((64, 160, 3), np.uint8)
    wide[:, 48:112] = EDGES
    there = {"image": inputs["image"], "controls[0].image": inputs["controls[0].image"]}
    plain = draw(studio, {**params, "controls": [control("edges")]}, task=TaskName.INPAINT, inputs=there)
    there["controls[0].image"] = save(tmp_path / "wide.png", wide)
    covered = {**control("edges"), "fit": "cover"}
    assert np.array_equal(draw(studio, {**params, "controls": [covered]}, task=TaskName.INPAINT, inputs=there), plain)


def test_a_control_of_scale_zero_changes_nothing(studio: Studio, inputs: dict[str, Path]) -> None:
    assert np.array_equal(guided(studio, inputs, control("edges", scale=0.0)), draw(studio, ALONE))


def test_each_step_is_told_once(studio: Studio, inputs: dict[str, Path]) -> None:
    there = {"controls[0].image": inputs["controls[0].image"]}
    made = make(studio, {**ALONE, "controls": [control("edges")]}, inputs=there)
    assert [told.step for told in made.of_type(StepFinished)] == [1, 2, 3, 4]
    assert {call.stage for call in made.calls} >= {"denoise", "control"}


@pytest.mark.parametrize("alone", [True, False], ids=["interleaved", "batched"])
def test_jobs_with_other_controls_at_once_draw_what_they_draw_alone(
    studio: Studio, inputs: dict[str, Path], alone: bool
) -> None:
    jobs: list[dict[str, Any]] = [
        {"controls": [control("edges")]},
        {},
        {"controls": [control("edges", scale=0.5)]},
        {"controls": [control("depth"), control("edges")]},
        {"controls": [control("edges")], "seed": 6, "steps": 6},
    ]
    there = {name: inputs[name] for name in ("controls[0].image", "controls[1].image")}
    asked = [{**ALONE, "deterministic": alone, **job} for job in jobs]
    expected = [draw(studio, job, inputs=there) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked, inputs=there), expected, strict=True):
        assert np.abs(made.astype(int) - wanted).max() <= (0 if alone else 1)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"controls": [control("nobody")]}, ErrorCode.MODEL_MISSING, "no controlnet 'nobody'"),
        ({"controls": [control("torn")]}, ErrorCode.BAD_MODEL, "'torn' cannot be used: .*controlnet_mid_block"),
        (
            {"controls": [control("half")], "model": "sdxl"},
            ErrorCode.BAD_MODEL,
            "'half' cannot .*down_blocks.1",
        ),
        ({"controls": [control("xl")]}, ErrorCode.INVALID_PARAMS, "'xl'"),
        ({"controls": [control("changes")]}, ErrorCode.INVALID_PARAMS, "'changes'"),
        ({"controls": [control("edges")], "model": "flux"}, ErrorCode.INVALID_PARAMS, "of the family flux"),
        ({"controls": [control("edges")], "model": "sd1_inpaint"}, ErrorCode.INVALID_PARAMS, "from text alone"),
    ],
    ids=[
        "missing",
        "torn",
        "half a lora",
        "of another family",
        "a lora of one",
        "for a model without",
        "for a task it cannot do",
    ],
)
def test_what_cannot_be_controlled_is_refused(
    studio: Studio, inputs: dict[str, Path], params: dict[str, Any], code: ErrorCode, message: str
) -> None:
    with pytest.raises(EngineError, match=message) as error:
        draw(studio, {**ALONE, **params}, inputs={"controls[0].image": inputs["controls[0].image"]})
    assert error.value.code is code


def test_a_controlnet_is_dropped_when_others_need_its_room(
    tiny_folder: TinyFolder, nets: Path, inputs: dict[str, Path]
) -> None:
    residency = Residency(Path(), "cpu", budget_bytes=1)
    studio = studio_of(tiny_folder("sd1").parent, nets, residency=residency)
    guided(studio, inputs, control("edges"))
    assert residency.names == ("checkpoint:sd1", "controlnet:edges")
    guided(studio, inputs, control("depth"))
    assert residency.names == ("checkpoint:sd1", "controlnet:depth")


def test_a_softened_control_makes_another_picture_than_a_full_one_and_than_none(
    studio: Studio, inputs: dict[str, Path]
) -> None:
    plain, full = draw(studio, ALONE), guided(studio, inputs, control("edges"))
    soft = guided(studio, inputs, control("edges"), control_softness=1.0)
    assert not np.array_equal(soft, plain)
    assert not np.array_equal(soft, full)
    assert np.array_equal(guided(studio, inputs, control("edges"), control_softness=0.0), full)
