"""BrushNets: what they do for the jobs that name one."""

from pathlib import Path
from typing import Any, Final, cast

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from engine.diffusion.brushes import Brush, ReadyBrush
from engine.diffusion.control_pictures import Subject
from engine.diffusion.interception import Interception
from engine.diffusion.offload import Placement
from engine.diffusion.rows import join, read_arguments, split
from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.interface.engine import Offload
from engine.models.residency import Residency
from protocol.brushnet import BrushNet
from protocol.errors import ErrorCode
from protocol.events import StepFinished
from protocol.requests import TaskName
from tests import tiny_brushnets
from tests.tiny_brushnets import make_brushnet
from tests.tiny_models import make_vae, seeded
from tests.unit.engine.diffusion.brushed_by_hand import brushed_by_hand, told_by_hand
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.pretended import held_to, offloading_studio
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of
from tests.unit.engine.pictures import save

ALONE: Final = {"deterministic": True, "guidance_scale": 3.0, "steps": 4}
PHOTO: Final = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
REGION: Final = {"x": 16, "y": 8, "width": 30, "height": 40}
HOLE: Final = np.zeros((64, 64), np.uint8)
HOLE[8:48, 16:46] = 255
WHOLE: Final = {"regions": [REGION], "crop": False, "mask_blur_px": 0}


@pytest.fixture(scope="module")
def brushes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-brushes") / "brushnet"
    folder.mkdir()
    made = {
        "masks": make_brushnet(),
        "shapes": make_brushnet(seed=7),
        "idle": make_brushnet(is_trained=False),
        "xl": make_brushnet(tiny_brushnets.XL),
        "reads": make_brushnet(tiny_brushnets.ATTENDING),
        "wide": make_brushnet({**tiny_brushnets.SD1, "layers_per_block": 2}),
    }
    for name, net in made.items():
        net.save_pretrained(folder / name)
    save_file(made["masks"].state_dict(), folder / "masks-file.safetensors")
    save_file(made["reads"].state_dict(), folder / "reads-file.safetensors")
    torn = made["masks"].state_dict()
    torn.pop("brushnet_mid_block.weight")
    save_file(torn, folder / "torn.safetensors")
    return folder.parent


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, brushes: Path) -> Studio:
    for name in ("sd1_inpaint", "sdxl", "flux"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent, brushes)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def brushed(
    studio: Studio, inputs: dict[str, Path], brush: str | None = "masks", about: Any = None, **params: Any
) -> Pixels:
    asked = {**ALONE, **WHOLE, **params}
    if brush is not None:
        asked["brushnet"] = {"model": brush, **(about or {})}
    return draw(studio, asked, task=TaskName.INPAINT, inputs=inputs)


def by_hand(tiny_folder: TinyFolder, model: str, net: Any, *, scale: float) -> Pixels:
    """What a stock pipeline draws whose UNet is told by a BrushNet, each written out layer by layer."""
    names = {"sd1": "StableDiffusionInpaintPipeline", "sdxl": "StableDiffusionXLInpaintPipeline"}
    plain = diffusers.DiffusionPipeline.from_pretrained(tiny_folder(model))
    pipeline = getattr(diffusers, names[model]).from_pipe(plain)
    pipeline.set_progress_bar_config(disable=True)
    unet, vae = pipeline.unet, pipeline.vae
    kept = torch.from_numpy(1 - HOLE.astype(np.float32) / 255)[None, None]
    shown = torch.from_numpy(PHOTO.astype(np.float32) / 255).permute(2, 0, 1)[None] * kept * 2 - 1
    latents = vae.encode(shown).latent_dist.mean * vae.config.scaling_factor
    seen = torch.cat([latents, kept[..., ::8, ::8]], 1).expand(2, -1, -1, -1)

    def forward(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **_given: Any) -> tuple[Tensor]:
        step = timestep.reshape(1).expand(2)
        told = [each * scale for each in told_by_hand(net, sample, step, seen)]
        return (brushed_by_hand(unet, sample, step, encoder_hidden_states, told),)

    unet.forward = forward
    drawn = pipeline(
        "a cat",
        image=Image.fromarray(PHOTO),
        mask_image=Image.fromarray(HOLE),
        num_inference_steps=4,
        guidance_scale=3.0,
        strength=1.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    )
    return np.asarray(drawn.images[0])


@pytest.mark.parametrize("name", ["masks", "masks-file"])
def test_a_brushnet_fills_a_hole_as_a_stock_pipeline_told_layer_by_layer(
    studio: Studio, tiny_folder: TinyFolder, inputs: dict[str, Path], name: str
) -> None:
    made = brushed(studio, inputs, name, {"scale": 0.7})
    expected = by_hand(tiny_folder, "sd1", make_brushnet(), scale=0.7)
    inside = HOLE > 0
    assert np.abs(made[inside] / 255 - expected[inside]).max() < 0.51 / 255
    assert np.array_equal(made[~inside], PHOTO[~inside])
    assert not np.array_equal(made, brushed(studio, inputs, None))


def test_a_brushnet_that_nobody_trained_changes_no_bit(studio: Studio, inputs: dict[str, Path]) -> None:
    assert np.array_equal(brushed(studio, inputs, "idle"), brushed(studio, inputs, None))


def test_a_brushnet_of_scale_zero_changes_no_bit(studio: Studio, inputs: dict[str, Path]) -> None:
    assert np.array_equal(brushed(studio, inputs, "masks", {"scale": 0.0}), brushed(studio, inputs, None))


@pytest.mark.parametrize("changed", [{"scale": 0.3}, {"start": 0.5}, {"end": 0.5}], ids=str)
def test_every_setting_of_a_brushnet_counts(studio: Studio, inputs: dict[str, Path], changed: dict[str, float]) -> None:
    assert not np.array_equal(brushed(studio, inputs, "masks", changed), brushed(studio, inputs))


def test_each_brushnet_draws_its_own(studio: Studio, inputs: dict[str, Path]) -> None:
    assert not np.array_equal(brushed(studio, inputs, "shapes"), brushed(studio, inputs))


def test_a_brushnet_is_shown_what_is_kept_and_where_that_is() -> None:
    with seeded(3):
        vae = make_vae()
    brush = Brush(ReadyBrush(net=None, placement=cast("Placement", None)), BrushNet(model="x"))
    rgb, hole = PHOTO.astype(np.float32) / 255, HOLE.astype(np.float32) / 255
    seen = brush.see(vae, Subject(rgb, hole))
    assert seen.shape == (1, 5, 8, 8)
    assert np.array_equal(seen[0, 4].numpy(), 1 - hole[::8, ::8])
    inside = np.where(hole[..., None] > 0, 1 - rgb, rgb)
    assert torch.equal(brush.see(vae, Subject(inside, hole)), seen)
    outside = np.where(hole[..., None] > 0, rgb, 1 - rgb)
    assert not torch.equal(brush.see(vae, Subject(outside, hole)), seen)


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "heun", "dpmpp_2m"])
def test_with_less_strength_it_counts_in_the_steps_that_are_left(
    studio: Studio, inputs: dict[str, Path], scheduler: str
) -> None:
    about = {"strength": 0.5, "scheduler": scheduler}
    late = brushed(studio, inputs, "masks", {"start": 0.5}, **about)
    assert not np.array_equal(late, brushed(studio, inputs, **about))
    assert not np.array_equal(late, brushed(studio, inputs, None, **about))


def test_a_border_is_painted_with_a_brushnet(studio: Studio, inputs: dict[str, Path]) -> None:
    def drawn(**more: Any) -> Pixels:
        return draw(studio, {**ALONE, "right": 32, **more}, task=TaskName.OUTPAINT, inputs=inputs)

    made = drawn(brushnet={"model": "masks"})
    assert made.shape == (64, 96, 3)
    assert not np.array_equal(made, drawn())
    assert np.array_equal(drawn(brushnet={"model": "idle"}), drawn())


def test_an_sdxl_model_takes_a_brushnet_of_its_family(studio: Studio, inputs: dict[str, Path]) -> None:
    plain = brushed(studio, inputs, None, model="sdxl")
    assert not np.array_equal(brushed(studio, inputs, "xl", model="sdxl"), plain)
    assert np.array_equal(brushed(studio, inputs, "xl", {"scale": 0.0}, model="sdxl"), plain)


@pytest.mark.parametrize("name", ["reads", "reads-file"])
def test_a_brushnet_with_attention_reads_the_prompt(studio: Studio, inputs: dict[str, Path], name: str) -> None:
    made = brushed(studio, inputs, name)
    assert np.array_equal(made, brushed(studio, inputs, "reads"))
    assert not np.array_equal(made, brushed(studio, inputs, name, prompt="a dog"))


def test_every_image_of_a_job_is_brushed_from_its_first_step(studio: Studio, inputs: dict[str, Path]) -> None:
    params = {**ALONE, **WHOLE, "brushnet": {"model": "masks", "end": 0.5}, "images": 2}
    made = make(studio, params, task=TaskName.INPAINT, inputs=inputs)
    alone = make(studio, {**params, "seed": 6, "images": 1}, task=TaskName.INPAINT, inputs=inputs)
    assert made.outputs[1].content == alone.outputs[0].content
    assert [told.step for told in made.of_type(StepFinished)] == [1, 2, 3, 4] * 2
    assert sum(call.stage == "control" for call in made.calls) == 4


@pytest.mark.parametrize("alone", [True, False], ids=["interleaved", "batched"])
def test_jobs_with_other_brushnets_at_once_draw_what_they_draw_alone(
    studio: Studio, inputs: dict[str, Path], alone: bool
) -> None:
    jobs: list[dict[str, Any]] = [
        {"brushnet": {"model": "masks"}},
        {},
        {"brushnet": {"model": "masks", "scale": 0.5}},
        {"brushnet": {"model": "shapes", "start": 0.5}},
        {"brushnet": {"model": "masks"}, "seed": 6, "steps": 6},
    ]
    asked = [{**ALONE, **WHOLE, "deterministic": alone, **job} for job in jobs]
    expected = [draw(studio, job, task=TaskName.INPAINT, inputs=inputs) for job in asked]
    at_once = draw_at_once(studio, *asked, task=TaskName.INPAINT, inputs=inputs)
    for made, wanted in zip(at_once, expected, strict=True):
        assert np.abs(made.astype(int) - wanted).max() <= (0 if alone else 1)


@pytest.mark.parametrize(
    ("brush", "model", "code", "message"),
    [
        ("nobody", "sd1", ErrorCode.MODEL_MISSING, "no brushnet 'nobody'"),
        ("torn", "sd1", ErrorCode.BAD_MODEL, "'torn' cannot be used: .*brushnet_mid_block"),
        ("xl", "sd1", ErrorCode.INVALID_PARAMS, "'xl' is made for sdxl"),
        ("wide", "sd1", ErrorCode.INVALID_PARAMS, "'wide' has 2 for layers_per_block"),
        ("masks", "sd1_inpaint", ErrorCode.INVALID_PARAMS, "of the family sd1_inpaint"),
        ("masks", "flux", ErrorCode.INVALID_PARAMS, "of the family flux"),
    ],
    ids=["missing", "torn", "of another family", "of another shape", "for nine channels", "for a transformer"],
)
def test_a_brushnet_that_does_not_fit_is_refused(
    studio: Studio, inputs: dict[str, Path], brush: str, model: str, code: ErrorCode, message: str
) -> None:
    with pytest.raises(EngineError, match=message) as error:
        brushed(studio, inputs, brush, model=model)
    assert error.value.code is code


def test_jobs_with_the_same_brushnet_share_its_forwards_and_the_unets_whatever_their_scales(
    studio: Studio, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(Interception, "_call", noting(given, Interception._call))
    for about in ({"scale": 0.4, "end": 0.5}, {"scale": 0.9, "end": 0.5}):
        brushed(studio, inputs, "masks", about, deterministic=False, steps=2)
    of_nets = [each for each in given if "brushnet_cond" in each]
    of_unets = [each for each in given if "brushnet_residuals" in (each.get("added_cond_kwargs") or {})]
    nets, unets = ([read_arguments(each) for each in calls] for calls in (of_nets, of_unets))
    for one, other in (nets, unets):
        assert one is not None
        assert other is not None
        assert (one.rows, one.key) == (2, other.key)
    told = split(make_brushnet()(**join([each for each in nets if each is not None])), [2, 2])
    for mine, alone in zip(told, of_nets, strict=True):
        for joint, single in zip(mine, make_brushnet()(**alone), strict=True):
            assert torch.allclose(joint, single, atol=1e-5)


def noting(given: list[dict[str, Any]], call: Any) -> Any:
    """Notes the arguments of the calls that may be shared."""

    def noted(self: Interception, scope: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._signature is not None:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given.append(dict(bound.arguments))
        return call(self, scope, args, kwargs)

    return noted


def test_in_half_precision_nothing_is_mixed(
    tiny_folder: TinyFolder, brushes: Path, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.diffusion.studio.best_dtype", lambda *_: torch.bfloat16)
    studio = studio_of(tiny_folder("sd1").parent, brushes)
    made, plain = brushed(studio, inputs, "masks"), brushed(studio, inputs, None)
    assert not np.array_equal(made, plain)
    assert np.array_equal(brushed(studio, inputs, "idle"), plain)
    assert np.abs(made.astype(int) - brushed(studio_of(tiny_folder("sd1").parent, brushes), inputs)).max() < 40


@pytest.mark.parametrize("mode", [Offload.MODEL, Offload.LAYERS])
def test_a_brushnet_of_an_offloaded_model_is_offloaded_too(
    tiny_folder: TinyFolder, brushes: Path, inputs: dict[str, Path], studio: Studio, mode: Offload
) -> None:
    folders = (tiny_folder("sd1").parent, brushes)
    offloaded, mover, residency = offloading_studio(*folders, asked=mode, budget_bytes=1, piece_bytes=20_000)
    wanted = brushed(studio, inputs)
    brushed(offloaded, inputs)
    nets = [each.network.net for each in residency._residents.values() if isinstance(each.network, ReadyBrush)]
    assert len(nets) == 1
    with held_to(mover, *nets) as worked:
        assert np.array_equal(brushed(offloaded, inputs), wanted)
    assert "Conv2d" in worked


def test_a_brushnet_is_dropped_when_others_need_its_room(
    tiny_folder: TinyFolder, brushes: Path, inputs: dict[str, Path]
) -> None:
    residency = Residency(Path(), "cpu", budget_bytes=1)
    studio = studio_of(tiny_folder("sd1").parent, brushes, residency=residency)
    brushed(studio, inputs)
    assert residency.names == ("checkpoint:sd1", "brushnet:masks")
    brushed(studio, inputs, "shapes")
    assert residency.names == ("checkpoint:sd1", "brushnet:shapes")
