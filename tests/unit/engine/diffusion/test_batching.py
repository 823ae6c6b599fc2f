"""Stock pipelines whose forwards are shared, beside the same pipelines alone."""

from typing import Any

import pytest
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)

from engine.diffusion.pace import Pace
from engine.diffusion.scope import JobScope
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_jobs import embeds, image, mask, text, text_job
from tests.unit.engine.diffusion.tiny_pipelines import (
    SCHEDULERS,
    Job,
    Rig,
    Solitary,
    alone,
    assert_equal_to_rounding,
    assert_identical,
)

# What DEIS does with tensors that numpy would rather it did not.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")


def mixed_jobs(schedulers: list[str]) -> list[Job]:
    """Three of each: with guidance, without, and one that joins while the first is under way."""
    jobs = []
    for at, name in enumerate(schedulers):
        first = f"{name}-first"
        jobs += [
            text_job(first, 3 * at, scheduler=name, steps=5, guidance=7.5),
            text_job(f"{name}-bare", 3 * at + 1, scheduler=name, steps=3, guidance=1.0),
            text_job(f"{name}-late", 3 * at + 2, scheduler=name, steps=4, guidance=3.0, after=(first, 2)),
        ]
    return jobs


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_grouped_jobs_equal_the_same_jobs_alone_to_rounding(scheduler: str) -> None:
    jobs = mixed_jobs([scheduler])
    rig = Rig(tiny_models.make_sd1())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(rig.rows["unet"]) >= 3


def test_every_scheduler_in_one_forward_equals_each_alone_to_rounding() -> None:
    jobs = mixed_jobs(sorted(SCHEDULERS))[::3] + mixed_jobs(sorted(SCHEDULERS))[1::3]
    rig = Rig(tiny_models.make_sd1())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert rig.rows["unet"][0] == 3 * len(SCHEDULERS)


def test_interleaved_jobs_equal_the_same_jobs_alone_bit_for_bit() -> None:
    jobs = mixed_jobs(sorted(SCHEDULERS))
    rig = Rig(tiny_models.make_sd1(), Solitary)
    assert_identical(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert set(rig.rows["unet"]) == {1, 2}


def test_jobs_that_have_the_same_number_of_steps_need_the_forwards_of_one() -> None:
    rig = Rig(tiny_models.make_sd1())
    rig.run([text_job(f"job-{at}", at, steps=5) for at in range(4)])
    assert rig.rows["unet"] == [8] * 5


def test_jobs_join_and_leave_a_forward_at_any_step() -> None:
    rig = Rig(tiny_models.make_sd1())
    jobs = [
        text_job("long", 1, steps=6),
        text_job("short", 2, steps=2),
        text_job("bare", 3, steps=3, guidance=1.0, after=("long", 3)),
    ]
    rig.run(jobs)
    assert rig.rows["unet"] == [4, 4, 2, 3, 3, 3]


def test_each_of_the_jobs_in_a_forward_has_its_own_steps() -> None:
    rig = Rig(tiny_models.make_sd1())
    rig.run([text_job("three", 1, steps=3), text_job("five", 2, steps=5)])
    assert rig.steps == {"three": [1, 2, 3], "five": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("scheduler", ["heun", "pndm", "dpm_2"])
def test_a_scheduler_that_takes_more_forwards_than_steps_tells_of_each(scheduler: str) -> None:
    rig = Rig(tiny_models.make_sd1())
    rig.run([text_job("more", 1, scheduler=scheduler, steps=4), text_job("euler", 2, steps=4)])
    made = SCHEDULERS[scheduler](rig.components["scheduler"].config)
    made.set_timesteps(4)
    assert len(rig.steps["more"]) == len(made.timesteps) > 4
    assert len(rig.steps["euler"]) == 4


def test_jobs_from_noise_from_pictures_and_under_masks_share_forwards() -> None:
    jobs = [
        text_job("text", 1),
        Job("image", StableDiffusionImg2ImgPipeline, image(2, guidance=1.0), "ddim", seed=2),
        Job("inpaint", StableDiffusionInpaintPipeline, {**image(3), "mask_image": mask()}, "dpmpp_2m_sde", seed=3),
    ]
    rig = Rig(tiny_models.make_sd1())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(rig.rows["unet"]) == 5


def test_inpainting_models_with_nine_channels_share_forwards() -> None:
    jobs = [
        Job(f"job-{at}", StableDiffusionInpaintPipeline, {**image(at, steps=4 + at), "mask_image": mask()}, seed=at)
        for at in range(3)
    ]
    rig = Rig(tiny_models.make_sd1(is_inpaint=True))
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(is_inpaint=True), jobs))
    assert max(rig.rows["unet"]) == 6


def test_jobs_of_different_sizes_or_prompt_lengths_run_apart() -> None:
    jobs = [
        text_job("square", 1),
        Job("wide", StableDiffusionPipeline, {**text(2), "width": 128}, seed=2),
        Job(
            "wordy",
            StableDiffusionPipeline,
            {**text(3), "prompt_embeds": embeds(3, tokens=154), "negative_prompt_embeds": embeds(-3, tokens=154)},
            seed=3,
        ),
    ]
    rig = Rig(tiny_models.make_sd1())
    assert_identical(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert set(rig.rows["unet"]) == {2}


def test_prompts_of_jobs_that_share_a_tokenizer_stay_apart() -> None:
    options = {"height": 64, "width": 64, "num_inference_steps": 3}
    jobs = [
        Job(f"job-{at}", StableDiffusionPipeline, {**options, "prompt": "apple " * 3 * at, "negative_prompt": "b" * at})
        for at in range(6)
    ]
    rig = Rig(tiny_models.make_sd1())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(rig.rows["unet"]) == 12
    assert len(rig.rows["text_encoder"]) == 12


def test_a_deterministic_job_is_the_same_bit_for_bit_whatever_else_runs() -> None:
    alike = [text_job("fixed", 1, scheduler="euler_ancestral", scope=JobScope(deterministic=True))]
    others = [text_job(f"other-{at}", 2 + at, steps=6) for at in range(3)]
    rig = Rig(tiny_models.make_sd1())
    assert_identical(rig.run([*alike, *others]), alone(tiny_models.make_sd1(), alike))
    assert rig.rows["unet"].count(2) == 4
    assert rig.rows["unet"].count(6) == 6


def test_a_pipeline_is_called_with_nothing_that_belongs_to_another_job() -> None:
    """A scheduler keeps outputs of earlier steps: they must not hold on to, nor change with, those of other jobs."""
    rig = Rig(tiny_models.make_sd1())
    kept: list[torch.Tensor] = []
    inner = rig.components["unet"].forward

    def keep(*args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        kept.append(output[0])
        return output

    rig.components["unet"].forward = keep
    rig.run([text_job("a", 1, steps=1), text_job("b", 2, steps=1, guidance=1.0)])
    assert [len(output) for output in kept] == [2, 1]
    assert all(output.untyped_storage().nbytes() == output.numel() * 4 for output in kept)


def test_a_measured_pace_gives_the_same_pictures() -> None:
    jobs = mixed_jobs(["euler", "ddim"])
    rig = Rig(tiny_models.make_sd1(), pace=Pace)
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs))
