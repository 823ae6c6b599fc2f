"""Stock pipelines whose forwards are shared, beside the same pipelines alone."""

from typing import Any

import pytest
import torch
from diffusers import (
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel

from engine.diffusion.pace import Pace
from engine.diffusion.scope import JobScope
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_pipelines import (
    SCHEDULERS,
    Job,
    Solitary,
    Studio,
    alone,
    assert_equal_to_rounding,
    assert_identical,
    embeds,
    mask,
    picture,
)

# What DEIS does with tensors that numpy would rather it did not.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")


def text(seed: int, *, steps: int = 4, guidance: float = 5.0, width: int = 16, **more: Any) -> dict[str, Any]:
    """Options of a job that starts from noise; without guidance there is one row instead of two."""
    negative = {"negative_prompt_embeds": embeds(-seed, width=width)} if guidance > 1 else {}
    prompt = {"prompt_embeds": embeds(seed, width=width), **negative}
    return {"num_inference_steps": steps, "guidance_scale": guidance, "height": 64, "width": 64} | prompt | more


def image(seed: int, **more: Any) -> dict[str, Any]:
    options = text(seed, **more)
    del options["height"], options["width"]
    return {"image": picture(seed), "strength": 0.8, **options}


def text_job(name: str, seed: int, **more: Any) -> Job:
    job = {key: more.pop(key) for key in ("scheduler", "scope", "after") if key in more}
    return Job(name, StableDiffusionPipeline, text(seed, **more), seed=seed, **job)


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
    studio = Studio(tiny_models.make_sd1())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(studio.rows["unet"]) >= 3


def test_every_scheduler_in_one_forward_equals_each_alone_to_rounding() -> None:
    jobs = mixed_jobs(sorted(SCHEDULERS))[::3] + mixed_jobs(sorted(SCHEDULERS))[1::3]
    studio = Studio(tiny_models.make_sd1())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert studio.rows["unet"][0] == 3 * len(SCHEDULERS)


def test_interleaved_jobs_equal_the_same_jobs_alone_bit_for_bit() -> None:
    jobs = mixed_jobs(sorted(SCHEDULERS))
    studio = Studio(tiny_models.make_sd1(), Solitary)
    assert_identical(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert set(studio.rows["unet"]) == {1, 2}


def test_jobs_that_have_the_same_number_of_steps_need_the_forwards_of_one() -> None:
    studio = Studio(tiny_models.make_sd1())
    studio.run([text_job(f"job-{at}", at, steps=5) for at in range(4)])
    assert studio.rows["unet"] == [8] * 5


def test_jobs_join_and_leave_a_forward_at_any_step() -> None:
    studio = Studio(tiny_models.make_sd1())
    jobs = [
        text_job("long", 1, steps=6),
        text_job("short", 2, steps=2),
        text_job("bare", 3, steps=3, guidance=1.0, after=("long", 3)),
    ]
    studio.run(jobs)
    assert studio.rows["unet"] == [4, 4, 2, 3, 3, 3]


def test_each_of_the_jobs_in_a_forward_has_its_own_steps() -> None:
    studio = Studio(tiny_models.make_sd1())
    studio.run([text_job("three", 1, steps=3), text_job("five", 2, steps=5)])
    assert studio.steps == {"three": [1, 2, 3], "five": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("scheduler", ["heun", "pndm", "dpm_2"])
def test_a_scheduler_that_takes_more_forwards_than_steps_tells_of_each(scheduler: str) -> None:
    studio = Studio(tiny_models.make_sd1())
    studio.run([text_job("more", 1, scheduler=scheduler, steps=4), text_job("euler", 2, steps=4)])
    made = SCHEDULERS[scheduler](studio.components["scheduler"].config)
    made.set_timesteps(4)
    assert len(studio.steps["more"]) == len(made.timesteps) > 4
    assert len(studio.steps["euler"]) == 4


def test_jobs_from_noise_from_pictures_and_under_masks_share_forwards() -> None:
    jobs = [
        text_job("text", 1),
        Job("image", StableDiffusionImg2ImgPipeline, image(2, guidance=1.0), "ddim", seed=2),
        Job("inpaint", StableDiffusionInpaintPipeline, {**image(3), "mask_image": mask()}, "dpmpp_2m_sde", seed=3),
    ]
    studio = Studio(tiny_models.make_sd1())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(studio.rows["unet"]) == 5


def test_inpainting_models_with_nine_channels_share_forwards() -> None:
    jobs = [
        Job(f"job-{at}", StableDiffusionInpaintPipeline, {**image(at, steps=4 + at), "mask_image": mask()}, seed=at)
        for at in range(3)
    ]
    studio = Studio(tiny_models.make_sd1(is_inpaint=True))
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(is_inpaint=True), jobs))
    assert max(studio.rows["unet"]) == 6


def test_sdxl_jobs_of_different_sizes_and_crops_share_forwards() -> None:
    def options(seed: int, **more: Any) -> dict[str, Any]:
        made = text(seed, width=40, **more)
        pooled = {"pooled_prompt_embeds": embeds(seed, width=24)[:, 0]}
        if "negative_prompt_embeds" in made:
            pooled["negative_pooled_prompt_embeds"] = embeds(-seed, width=24)[:, 0]
        return {**made, **pooled}

    jobs = [
        Job("plain", StableDiffusionXLPipeline, options(1), seed=1),
        Job("large", StableDiffusionXLPipeline, options(2, original_size=(512, 640)), "ddim", seed=2),
        Job("bare", StableDiffusionXLPipeline, options(3, guidance=1.0, crops_coords_top_left=(8, 16)), seed=3),
    ]
    studio = Studio(tiny_models.make_sdxl())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sdxl(), jobs))
    assert studio.rows["unet"][0] == 5


def control_job(name: str, seed: int, **more: Any) -> Job:
    return Job(name, StableDiffusionControlNetPipeline, text(seed, image=picture(seed), **more), seed=seed)


def test_controlnet_jobs_with_different_pictures_share_both_forwards() -> None:
    jobs = [control_job("a", 1), control_job("b", 2, guidance=1.0), control_job("c", 3)]
    studio = Studio(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_equal_to_rounding(studio.run(jobs), expected)
    assert studio.rows["controlnet"] == studio.rows["unet"] == [5] * 4


def test_controlnet_jobs_of_different_strengths_share_the_denoiser_alone() -> None:
    jobs = [control_job("weak", 1, controlnet_conditioning_scale=0.5), control_job("strong", 2)]
    studio = Studio(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_equal_to_rounding(studio.run(jobs), expected)
    assert studio.rows["controlnet"] == [2] * 8
    assert studio.rows["unet"] == [4] * 4


def test_a_job_with_a_controlnet_and_one_without_share_nothing() -> None:
    jobs = [control_job("controlled", 1), text_job("free", 2)]
    studio = Studio(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_identical(studio.run(jobs), expected)
    assert studio.rows["unet"] == [2] * 8


def test_two_controlnets_at_once_share_forwards_each() -> None:
    def nets() -> MultiControlNetModel:
        return MultiControlNetModel([tiny_models.make_controlnet(1), tiny_models.make_controlnet(2)])

    jobs = [
        Job(
            f"job-{at}",
            StableDiffusionControlNetPipeline,
            text(at, image=[picture(at), picture(at + 10)], controlnet_conditioning_scale=[1.0, 0.5]),
            seed=at,
        )
        for at in range(2)
    ]
    studio = Studio(tiny_models.make_sd1(), controlnet=nets())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs, controlnet=nets()))
    assert studio.rows["unet"] == [4] * 4


def flux_job(name: str, seed: int, *, images: int = 1, **more: Any) -> Job:
    options = text(seed, width=32, **more)
    del options["guidance_scale"], options["negative_prompt_embeds"]
    options["prompt_embeds"] = options["prompt_embeds"].repeat(images, 1, 1)
    options["pooled_prompt_embeds"] = embeds(seed)[:, 0].repeat(images, 1)
    return Job(name, FluxPipeline, options, scheduler=None, seed=seed)


def test_flux_jobs_share_forwards() -> None:
    jobs = [flux_job("a", 1, steps=3), flux_job("b", 2, steps=4), flux_job("two", 3, images=2, steps=4)]
    studio = Studio(tiny_models.make_flux())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_flux(), jobs))
    assert studio.rows["transformer"] == [4, 4, 4, 3]


def test_positions_are_not_rows_even_if_there_are_as_many() -> None:
    small = {"height": 32, "images": 4}
    jobs = [flux_job("a", 1, **small), flux_job("b", 2, **small)]
    for job in jobs:
        job.options["width"] = 32
    studio = Studio(tiny_models.make_flux())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_flux(), jobs))
    assert studio.rows["transformer"] == [8] * 4


def test_sd3_jobs_share_forwards() -> None:
    def job(name: str, seed: int, **more: Any) -> Job:
        pooled = {"pooled_prompt_embeds": embeds(seed, width=40)[:, 0]}
        options = text(seed, width=48, **pooled, negative_pooled_prompt_embeds=embeds(-seed, width=40)[:, 0], **more)
        return Job(name, StableDiffusion3Pipeline, options, scheduler=None, seed=seed)

    jobs = [job("a", 1, steps=3), job("b", 2, steps=4)]
    studio = Studio(tiny_models.make_sd3())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd3(), jobs))
    assert studio.rows["transformer"] == [4, 4, 4, 2]


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
    studio = Studio(tiny_models.make_sd1())
    assert_identical(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert set(studio.rows["unet"]) == {2}


def test_prompts_of_jobs_that_share_a_tokenizer_stay_apart() -> None:
    options = {"height": 64, "width": 64, "num_inference_steps": 3}
    jobs = [
        Job(f"job-{at}", StableDiffusionPipeline, {**options, "prompt": "apple " * 3 * at, "negative_prompt": "b" * at})
        for at in range(6)
    ]
    studio = Studio(tiny_models.make_sd1())
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
    assert max(studio.rows["unet"]) == 12
    assert len(studio.rows["text_encoder"]) == 12


def test_a_deterministic_job_is_the_same_bit_for_bit_whatever_else_runs() -> None:
    alike = [text_job("fixed", 1, scheduler="euler_ancestral", scope=JobScope(deterministic=True))]
    others = [text_job(f"other-{at}", 2 + at, steps=6) for at in range(3)]
    studio = Studio(tiny_models.make_sd1())
    assert_identical(studio.run([*alike, *others]), alone(tiny_models.make_sd1(), alike))
    assert studio.rows["unet"].count(2) == 4
    assert studio.rows["unet"].count(6) == 6


def test_a_pipeline_is_called_with_nothing_that_belongs_to_another_job() -> None:
    """A scheduler keeps outputs of earlier steps: they must not hold on to, nor change with, those of other jobs."""
    studio = Studio(tiny_models.make_sd1())
    kept: list[torch.Tensor] = []
    inner = studio.components["unet"].forward

    def keep(*args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        kept.append(output[0])
        return output

    studio.components["unet"].forward = keep
    studio.run([text_job("a", 1, steps=1), text_job("b", 2, steps=1, guidance=1.0)])
    assert [len(output) for output in kept] == [2, 1]
    assert all(output.untyped_storage().nbytes() == output.numel() * 4 for output in kept)


def test_a_measured_pace_gives_the_same_pictures() -> None:
    jobs = mixed_jobs(["euler", "ddim"])
    studio = Studio(tiny_models.make_sd1(), pace=Pace)
    assert_equal_to_rounding(studio.run(jobs), alone(tiny_models.make_sd1(), jobs))
