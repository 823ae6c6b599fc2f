"""Schedulers made by name, inside unmodified diffusers pipelines over tiny models."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from torch import Tensor

from engine.diffusion.latent_factors import grey
from engine.diffusion.previews import Previewer
from engine.diffusion.samplers import FLOW_SAMPLERS, SAMPLERS
from engine.diffusion.schedulers import make_scheduler, total_steps
from engine.diffusion.sizes import Size
from protocol.sampling import NoiseSchedule, SchedulerName

TinyFolder = Callable[[str], Path]
NAMES = pytest.mark.parametrize("name", SAMPLERS)
SIDE_PX = 32


@pytest.fixture(scope="module")
def sd1(tiny_folder: TinyFolder) -> Any:
    return StableDiffusionPipeline.from_pretrained(tiny_folder("sd1"), safety_checker=None)


@pytest.fixture(scope="module")
def sdxl(tiny_folder: TinyFolder) -> Any:
    return StableDiffusionXLPipeline.from_pretrained(tiny_folder("sdxl"))


def run(
    model: Any,
    kind: type[Any],
    name: SchedulerName | None,
    schedule: NoiseSchedule | None = None,
    *,
    steps: int = 4,
    **options: Any,
) -> tuple[Tensor, Any, list[int]]:
    """The latents, the scheduler, and the index of every step the pipeline told of."""
    scheduler = make_scheduler(model.scheduler.config, name, schedule, warn=lambda *_: None)
    given = {**model.components, "scheduler": scheduler, "requires_safety_checker": False}
    wanted = inspect.signature(kind.__init__).parameters
    pipeline = kind(**{key: value for key, value in given.items() if key in wanted})
    pipeline.set_progress_bar_config(disable=True)
    told: list[int] = []

    def tell(_pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        told.append(step)
        return tensors

    made = pipeline(
        prompt="ab",
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        callback_on_step_end=tell,
        **options,
    )
    return made.images, scheduler, told


@NAMES
def test_every_name_makes_a_picture_from_text(name: SchedulerName, sd1: Any) -> None:
    latents, scheduler, told = run(sd1, StableDiffusionPipeline, name, height=SIDE_PX, width=SIDE_PX)
    assert torch.isfinite(latents).all()
    assert len(told) == total_steps(scheduler)


@NAMES
def test_every_name_starts_from_a_picture_with_a_noise_schedule(name: SchedulerName, sd1: Any) -> None:
    results = [
        run(
            sd1,
            StableDiffusionImg2ImgPipeline,
            name,
            NoiseSchedule.TRAILING,
            steps=6,
            strength=strength,
            image=torch.full((1, 3, SIDE_PX, SIDE_PX), 0.4),
        )
        for strength in (0.5, 1.0)
    ]
    half, whole = results
    assert torch.isfinite(half[0]).all()
    assert len(half[2]) < len(whole[2])
    assert not torch.equal(half[0], whole[0])


@pytest.mark.parametrize(
    "name",
    [
        SchedulerName.EULER,
        SchedulerName.HEUN,
        SchedulerName.DPM_2,
        SchedulerName.DPMPP_SDE,
        SchedulerName.DPMPP_2M,
        SchedulerName.DEIS,
        SchedulerName.LMS,
    ],
)
def test_inpainting_keeps_what_is_not_masked(name: SchedulerName, sd1: Any) -> None:
    picture = torch.full((1, 3, SIDE_PX, SIDE_PX), 0.4)
    mask = torch.zeros(1, 1, SIDE_PX, SIDE_PX)
    mask[..., : SIDE_PX // 2] = 1
    latents, scheduler, _ = run(
        sd1,
        StableDiffusionInpaintPipeline,
        name,
        NoiseSchedule.KARRAS,
        image=picture,
        mask_image=mask,
        height=SIDE_PX,
        width=SIDE_PX,
        strength=1.0,
    )
    assert scheduler.config.prediction_type == sd1.scheduler.config.prediction_type
    encoded = sd1.vae.encode(picture * 2 - 1).latent_dist.mean * sd1.vae.config.scaling_factor
    half = latents.shape[-1] // 2
    kept = (latents - encoded)[..., half:].abs().mean()
    changed = (latents - encoded)[..., :half].abs().mean()
    assert float(kept) < float(changed)


@pytest.mark.parametrize("name", [SchedulerName.EULER_ANCESTRAL, SchedulerName.DPMPP_2M_SDE, SchedulerName.DPM_2])
def test_sdxl_takes_them_as_well(name: SchedulerName, sdxl: Any) -> None:
    latents, _, _ = run(
        sdxl, StableDiffusionXLPipeline, name, NoiseSchedule.ALIGN_YOUR_STEPS, height=SIDE_PX, width=SIDE_PX
    )
    assert torch.isfinite(latents).all()


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
@pytest.mark.parametrize(
    ("folder", "kind"), [("flux", FluxPipeline), ("sd3", StableDiffusion3Pipeline)], ids=["flux", "sd3"]
)
def test_flow_models_take_flow_samplers(
    name: SchedulerName, folder: str, kind: type[Any], tiny_folder: TinyFolder
) -> None:
    model = kind.from_pretrained(tiny_folder(folder))
    results = [
        run(model, kind, name, schedule, height=SIDE_PX, width=SIDE_PX) for schedule in (None, NoiseSchedule.BETA)
    ]
    for latents, scheduler, told in results:
        assert torch.isfinite(latents).all()
        assert len(told) == total_steps(scheduler)
    assert not torch.equal(results[0][0], results[1][0])


def test_watching_for_previews_changes_no_picture(sd1: Any) -> None:
    plain, _, _ = run(sd1, StableDiffusionPipeline, SchedulerName.DPMPP_2M_SDE, height=SIDE_PX, width=SIDE_PX)
    scheduler = make_scheduler(sd1.scheduler.config, SchedulerName.DPMPP_2M_SDE, warn=lambda *_: None)
    watch = Previewer(grey(4)).watch(scheduler)
    pipeline = StableDiffusionPipeline(**{**sd1.components, "scheduler": scheduler}, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    shown = []

    def show(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        shown.append(watch.picture(tensors["latents"], Size(SIDE_PX, SIDE_PX))())
        return tensors

    made = pipeline(
        prompt="ab",
        num_inference_steps=4,
        height=SIDE_PX,
        width=SIDE_PX,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        callback_on_step_end=show,
    )
    assert torch.equal(made.images, plain)
    assert [picture.shape for picture in shown] == [(256, 256, 3)] * 4
