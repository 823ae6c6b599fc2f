"""How a refiner takes over: within one run, in a run of its own, or by way of the picture."""

from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionImg2ImgPipeline

from engine.diffusion.refiner import Refiner, calls_left
from engine.diffusion.renoising import NOISE_OVER, renoised
from engine.diffusion.schedulers import make_scheduler
from engine.diffusion.spacing import LevelMaker
from engine.diffusion.studio import ReadyModel, Studio
from protocol.events import StepFinished
from protocol.refining import RefinerStart
from protocol.requests import TaskName
from protocol.sampling import NoiseSchedule, SchedulerName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.gaussian import SD1_CONFIG
from tests.unit.engine.diffusion.studios import draw, draw_at_once, make, studio_of
from tests.unit.engine.pictures import save

ALONE: dict[str, Any] = {
    "deterministic": True,
    "guidance_scale": 3.0,
    "steps": 10,
    "model": "sdxl",
    "width": 64,
    "height": 64,
}
REFINED = {**ALONE, "refiner": "sdxl_refiner", "refiner_start": 0.6}
BY_SD1 = {**REFINED, "refiner": "sd1"}
PHOTO = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
SAMPLERS = ["euler", "dpmpp_2m", "heun", "dpm_2", "ddim"]


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sd1", "sdxl", "sdxl_inpaint", "sdxl_refiner"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_sampler_that_remembers_nothing_draws_the_same_in_one_run_as_in_two(studio: Studio, guidance: float) -> None:
    asked = {**REFINED, "scheduler": "euler", "guidance_scale": guidance}
    separate = draw(studio, {**asked, "refiner_swap": "separate"}).astype(int)
    joint = draw(studio, {**asked, "refiner_swap": "joint"})
    assert np.abs(joint - separate).max() <= 1
    assert np.abs(draw(studio, {**asked, "refiner_start": 0.2}) - separate).max() > 1


def test_a_sampler_that_remembers_goes_on_with_it_in_one_run_only(studio: Studio) -> None:
    asked = {**REFINED, "scheduler": "dpmpp_2m"}
    assert not np.array_equal(
        draw(studio, {**asked, "refiner_swap": "joint"}), draw(studio, {**asked, "refiner_swap": "separate"})
    )


@pytest.mark.parametrize("swap", ["joint", "separate", "vae"])
def test_steps_are_counted_over_both_models_and_shown(studio: Studio, swap: str) -> None:
    driver = make(studio, {**REFINED, "refiner_swap": swap})
    told = driver.of_type(StepFinished)
    assert [(each.step, each.steps) for each in told] == [(step, 10) for step in range(1, 11)]
    assert len(driver.pictures) == 10
    assert driver.warnings == []


def test_each_way_draws_another_picture(studio: Studio) -> None:
    asked = [ALONE, BY_SD1, *({**REFINED, "refiner_swap": swap} for swap in ("joint", "separate", "vae"))]
    drawn = [draw(studio, {**each, "scheduler": "dpmpp_2m"}) for each in asked]
    for number, one in enumerate(drawn):
        assert not any(np.array_equal(one, other) for other in drawn[:number])


def test_other_latents_are_taken_over_by_way_of_the_picture_and_said_if_it_was_asked_otherwise(studio: Studio) -> None:
    made = make(studio, BY_SD1)
    assert made.warnings == []
    told = make(studio, {**BY_SD1, "refiner_swap": "joint"})
    assert told.warnings == ["refiner_swap_changed"]
    assert told.outputs == made.outputs == make(studio, {**BY_SD1, "refiner_swap": "vae"}).outputs


def expected_at(tiny_folder: TinyFolder, share: float) -> np.ndarray[Any, Any]:
    """The picture stock Euler expects after a share of the noise: where its last direction leads without noise."""
    base = DiffusionPipeline.from_pretrained(tiny_folder("sdxl"))
    base.set_progress_bar_config(disable=True)
    seen: list[torch.Tensor] = []

    def note(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append(tensors["latents"])
        return {}

    generator = torch.Generator().manual_seed(5)
    common = {"num_inference_steps": 10, "guidance_scale": 3.0, "generator": generator, "output_type": "latent"}
    base("a cat", denoising_end=share, callback_on_step_end=note, **common)
    before, after = base.scheduler.sigmas[len(seen) - 1], base.scheduler.sigmas[len(seen)]
    clean = seen[-2] - before * (seen[-1] - seen[-2]) / (after - before)
    with torch.no_grad():
        decoded = base.vae.decode(clean / base.vae.config.scaling_factor).sample
    made: np.ndarray[Any, Any] = (decoded / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    return made


def test_the_picture_handed_over_is_the_one_the_first_model_expects_at_that_point(
    studio: Studio, tiny_folder: TinyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[np.ndarray[Any, Any]] = []

    def spied(self: Any, *args: Any, **given: Any) -> Any:
        handed.append(given["image"][0].permute(1, 2, 0).numpy())
        return original(self, *args, **given)

    original = StableDiffusionImg2ImgPipeline.__call__
    monkeypatch.setattr(StableDiffusionImg2ImgPipeline, "__call__", wraps(original)(spied))
    draw(studio, {**BY_SD1, "refiner_start": 0.5})
    assert np.abs(handed[0] - expected_at(tiny_folder, 0.5)).max() < 1e-3


def test_the_model_itself_is_no_refiner(studio: Studio) -> None:
    made = make(studio, {**ALONE, "refiner": "sdxl", "refiner_start": 0.5})
    assert made.warnings == ["refiner_unused"]
    assert made.outputs == make(studio, ALONE).outputs


def test_a_share_of_the_steps_is_not_one_of_the_noise(studio: Studio) -> None:
    asked = {**REFINED, "noise_schedule": "karras", "refiner_start": 0.8}
    by_noise, by_steps = (draw(studio, {**asked, "refiner_start_by": by}) for by in ("noise", "steps"))
    assert not np.array_equal(by_noise, by_steps)


@pytest.mark.parametrize("swap", ["joint", "vae"])
def test_a_filled_hole_is_refined_and_nothing_else(studio: Studio, tmp_path: Path, swap: str) -> None:
    inputs = {"image": save(tmp_path / "photo.png", PHOTO)}
    params = {
        **ALONE,
        "model": "sdxl_inpaint",
        "regions": [{"x": 16, "y": 8, "width": 30, "height": 40}],
        "crop": False,
    }
    del params["width"], params["height"]
    refined = {**params, "refiner": "sdxl_refiner", "refiner_start": 0.5, "refiner_swap": swap}
    made = draw(studio, refined, task=TaskName.INPAINT, inputs=inputs)
    outside = np.ones((64, 64), np.bool_)
    outside[8:48, 16:46] = False
    assert np.array_equal(made[outside], PHOTO[outside])
    assert not np.array_equal(made, draw(studio, params, task=TaskName.INPAINT, inputs=inputs))


def test_jobs_that_hand_over_in_one_run_draw_at_once_what_they_draw_alone(studio: Studio) -> None:
    asked = [{**REFINED, "refiner_swap": "joint"}, ALONE, {**REFINED, "refiner_swap": "joint", "refiner_start": 0.3}]
    expected = [draw(studio, job) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked), expected, strict=True):
        assert np.array_equal(made, wanted)


def scheduler(name: str, schedule: NoiseSchedule | None, levels: LevelMaker | None = None) -> Any:
    return make_scheduler(SD1_CONFIG, SchedulerName(name), schedule, warn=lambda *_: None, levels=levels)


def refiner(start: float) -> Refiner:
    return Refiner(cast("ReadyModel", SimpleNamespace()), start, RefinerStart.STEPS)


@pytest.mark.parametrize("schedule", [None, NoiseSchedule.KARRAS, NoiseSchedule.NORMAL])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("start", [0.2, 0.5, 0.8])
def test_a_share_of_the_steps_leaves_the_rest_to_the_refiner(
    name: str, schedule: NoiseSchedule | None, start: float
) -> None:
    own = scheduler(name, schedule)
    own.set_timesteps(20)
    cut = refiner(start).cut(own, 0)
    assert cut is not None
    before = own.order * round(20 * start)
    # Heun's second call of a step and the first of the next are at one timestep: they are not told apart.
    slack = 1 if name == "heun" else 0
    assert int((own.timesteps >= cut.timestep).sum()) == before + slack
    assert len(own.timesteps) - calls_left(own, cut) == before + slack


def test_a_share_of_the_steps_of_a_picture_that_is_started_from_is_of_those_that_are_made() -> None:
    own = scheduler("euler", None)
    own.set_timesteps(20)
    cut = refiner(0.5).cut(own, 12)
    assert cut is not None
    assert int((own.timesteps >= cut.timestep).sum()) == 12 + 4


def test_a_refiner_after_the_last_step_has_no_part() -> None:
    own = scheduler("euler", None)
    own.set_timesteps(4)
    assert refiner(0.99).cut(own, 0) is None


@pytest.mark.parametrize("schedule", [None, NoiseSchedule.KARRAS])
@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_is_laid_anew_at_higher_levels_than_were_left(name: str, schedule: NoiseSchedule | None) -> None:
    own = scheduler(name, schedule)
    own.set_timesteps(20)
    made, given = renoised(lambda levels: scheduler(name, schedule, levels), 20, 6)
    assert given == {"num_inference_steps": 6, "strength": 1.0}
    made.set_timesteps(6)
    assert len(made.timesteps) == len(own.timesteps) - 14 * own.order
    if name == "euler":
        assert torch.allclose(made.sigmas, own.sigmas[-7:] * NOISE_OVER, rtol=1e-3)


def test_a_sampler_of_fixed_stride_makes_the_last_steps_at_its_own_levels() -> None:
    made, given = renoised(lambda levels: scheduler("pndm", None, levels), 20, 6)
    assert type(made).__name__ == "PNDMScheduler"
    assert given["num_inference_steps"] == 20
    assert int(20 * given["strength"]) == 6
