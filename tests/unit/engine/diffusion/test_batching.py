"""Stock pipelines whose forwards are shared, beside the same pipelines alone."""

import functools
from collections.abc import Callable
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
from peft import LoraConfig
from structlog.testing import capture_logs
from torch import nn

from engine.diffusion.interception import intercept_components
from engine.diffusion.pace import Pace
from engine.diffusion.scope import AdapterState, JobScope, job_scope
from engine.interface import Run, RunContext
from protocol.events import JobFailed
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_pipelines import (
    SCHEDULERS,
    Eager,
    Job,
    Rig,
    Solitary,
    alone,
    assert_equal_to_rounding,
    assert_identical,
    call,
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
    rig = Rig(tiny_models.make_sdxl())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sdxl(), jobs))
    assert rig.rows["unet"][0] == 5


def control_job(name: str, seed: int, **more: Any) -> Job:
    return Job(name, StableDiffusionControlNetPipeline, text(seed, image=picture(seed), **more), seed=seed)


def test_controlnet_jobs_with_different_pictures_share_both_forwards() -> None:
    jobs = [control_job("a", 1), control_job("b", 2, guidance=1.0), control_job("c", 3)]
    rig = Rig(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_equal_to_rounding(rig.run(jobs), expected)
    assert rig.rows["controlnet"] == rig.rows["unet"] == [5] * 4


def test_controlnet_jobs_of_different_strengths_share_the_denoiser_alone() -> None:
    jobs = [control_job("weak", 1, controlnet_conditioning_scale=0.5), control_job("strong", 2)]
    rig = Rig(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_equal_to_rounding(rig.run(jobs), expected)
    assert rig.rows["controlnet"] == [2] * 8
    assert rig.rows["unet"] == [4] * 4


def test_a_job_with_a_controlnet_and_one_without_share_nothing() -> None:
    jobs = [control_job("controlled", 1), text_job("free", 2)]
    rig = Rig(tiny_models.make_sd1(), controlnet=tiny_models.make_controlnet())
    expected = alone(tiny_models.make_sd1(), jobs, controlnet=tiny_models.make_controlnet())
    assert_identical(rig.run(jobs), expected)
    assert rig.rows["unet"] == [2] * 8


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
    rig = Rig(tiny_models.make_sd1(), controlnet=nets())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd1(), jobs, controlnet=nets()))
    assert rig.rows["unet"] == [4] * 4


def flux_job(name: str, seed: int, *, images: int = 1, **more: Any) -> Job:
    options = text(seed, width=32, **more)
    del options["guidance_scale"], options["negative_prompt_embeds"]
    options["prompt_embeds"] = options["prompt_embeds"].repeat(images, 1, 1)
    options["pooled_prompt_embeds"] = embeds(seed)[:, 0].repeat(images, 1)
    return Job(name, FluxPipeline, options, scheduler=None, seed=seed)


def test_flux_jobs_share_forwards() -> None:
    jobs = [flux_job("a", 1, steps=3), flux_job("b", 2, steps=4), flux_job("two", 3, images=2, steps=4)]
    rig = Rig(tiny_models.make_flux())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_flux(), jobs))
    assert rig.rows["transformer"] == [4, 4, 4, 3]


def test_positions_are_not_rows_even_if_there_are_as_many() -> None:
    small = {"height": 32, "images": 4}
    jobs = [flux_job("a", 1, **small), flux_job("b", 2, **small)]
    for job in jobs:
        job.options["width"] = 32
    rig = Rig(tiny_models.make_flux())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_flux(), jobs))
    assert rig.rows["transformer"] == [8] * 4


def test_sd3_jobs_share_forwards() -> None:
    def job(name: str, seed: int, **more: Any) -> Job:
        pooled = {"pooled_prompt_embeds": embeds(seed, width=40)[:, 0]}
        options = text(seed, width=48, **pooled, negative_pooled_prompt_embeds=embeds(-seed, width=40)[:, 0], **more)
        return Job(name, StableDiffusion3Pipeline, options, scheduler=None, seed=seed)

    jobs = [job("a", 1, steps=3), job("b", 2, steps=4)]
    rig = Rig(tiny_models.make_sd3())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd3(), jobs))
    assert rig.rows["transformer"] == [4, 4, 4, 2]


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


# ---- jobs that fail or leave ----------------------------------------------------------------------------------------


def spoil(rig: Rig, wrong: Callable[[torch.Tensor], bool], raised: Exception, pace: type[Any] = Eager) -> None:
    """Have the denoiser raise whenever a row of its input is `wrong`."""
    unet = rig.components["unet"]
    for each in rig.interceptions:
        each.undo()
    inner = unet.forward

    def spoilt(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if wrong(sample):
            raise raised
        return inner(sample, *args, **kwargs)

    unet.forward = functools.wraps(inner)(spoilt)
    rig.interceptions = intercept_components(rig.components, pace=pace)


def test_a_job_that_raises_in_its_own_step_leaves_the_others_right() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    with rig.bench() as table:
        gate = table.hold_device()

        def raise_in_step(*_args: Any) -> dict[str, Any]:
            raise ValueError("a bad step")

        def work(_run: Run, _context: RunContext) -> None:
            with job_scope(JobScope()):
                call(rig.components, text_job("bad", 3), callback_on_step_end=raise_in_step)

        table.submit("bad", work)
        rig.submit(table, jobs)
        gate.open()
        rig.wait_end(table, "a", "b", "bad")
        assert "a bad step" in table.sink.one("bad", JobFailed).error.message
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))
    assert rig.rows["unet"] == [6, 4, 4, 4]


def test_a_job_cancelled_while_its_forward_is_shared_leaves_the_others_right() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    with rig.bench() as table:
        gate = table.hold_device()

        def cancel_at_two(_pipe: Any, step: int, *_args: Any) -> dict[str, Any]:
            if step == 1:
                table.executor.cancel("leaving", "asked")
            return {}

        def work(_run: Run, _context: RunContext) -> None:
            with job_scope(JobScope()):
                call(rig.components, text_job("leaving", 3, steps=50), callback_on_step_end=cancel_at_two)

        table.submit("leaving", work)
        rig.submit(table, jobs)
        gate.open()
        rig.wait_end(table, "a", "b", "leaving")
        assert table.sink.types("leaving")[-1] == "job.cancelled"
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))
    assert rig.rows["unet"] == [6, 6, 4, 4]


def test_one_job_that_spoils_a_forward_fails_alone() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    spoil(rig, lambda sample: bool(sample.isnan().any()), ValueError("not a number"))
    with capture_logs(), rig.bench() as table:
        gate = table.hold_device()
        spoilt = text(3, latents=torch.full((1, 4, 8, 8), torch.nan))
        bad = Job("bad", StableDiffusionPipeline, spoilt)
        rig.submit(table, [*jobs, bad])
        gate.open()
        rig.wait_end(table, "a", "b", "bad")
        assert "not a number" in table.sink.one("bad", JobFailed).error.message
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))


def test_forwards_that_need_too_much_memory_together_become_smaller_and_no_job_fails() -> None:
    jobs = [text_job(f"job-{at}", at, steps=12) for at in range(4)]
    rig = Rig(tiny_models.make_sd1())
    spoil(rig, lambda sample: len(sample) > 4, MemoryError("that is too much"), Doubling)
    with capture_logs() as logs:
        made = rig.run(jobs)
    assert_equal_to_rounding(made, alone(tiny_models.make_sd1(), jobs))
    assert [log["size"] for log in logs if log["event"] == "group.failed"] == [4]
    assert max(rig.rows["unet"]) == 4
    assert rig.rows["unet"].count(4) > rig.rows["unet"].count(2)


class Doubling(Pace):
    """Finds that rows cost nothing."""

    def record(self, rows: int, seconds: float) -> None:
        super().record(rows, 0.01)


# ---- adapters -------------------------------------------------------------------------------------------------------


def add_lora(unet: nn.Module, name: str, seed: int) -> None:
    """A LoRA that is there, and not in use."""
    with tiny_models.seeded(seed):
        unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), name)
    unet.disable_adapters()


def lora(name: str, weight: float) -> AdapterState:
    def activate(module: nn.Module) -> None:
        if getattr(module, "peft_config", None):
            module.set_adapters([name], [weight])
            module.enable_adapters()

    def deactivate(module: nn.Module) -> None:
        if getattr(module, "peft_config", None):
            module.disable_adapters()

    return AdapterState((name, weight), activate, deactivate)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning")
def test_jobs_with_loras_share_forwards_with_those_of_the_same_set_and_weight_alone() -> None:
    def model() -> Any:
        made = tiny_models.make_sd1()
        add_lora(made.unet, "one", 1)
        add_lora(made.unet, "two", 2)
        return made

    wanted = {"plain": None, "one": ("one", 1.0), "one-too": ("one", 1.0), "weak": ("one", 0.5), "two": ("two", 1.0)}
    scopes = {name: JobScope(adapters=lora(*each)) if each else JobScope() for name, each in wanted.items()}
    # The same noise and prompt: only the adapters can make a difference.
    jobs = [text_job(name, 1, scope=scope) for name, scope in scopes.items()]
    expected = {}
    for job in jobs:
        bare = model()
        job.scope.adapters.activate(bare.unet)
        expected.update(alone(bare, [job]))
    assert not torch.equal(expected["plain"], expected["weak"])
    assert len({tuple(made.flatten().tolist()) for made in expected.values()}) == 4
    rig = Rig(model())
    assert_equal_to_rounding(rig.run(jobs), expected)
    assert sorted(rig.rows["unet"]) == [2] * 12 + [4] * 4
    assert_identical(alone(rig.pipeline, [jobs[0]]), {"plain": expected["plain"]})
