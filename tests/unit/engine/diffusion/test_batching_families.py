"""Forwards shared by jobs of every family, with ControlNets and adapters, beside the same jobs alone."""

from typing import Any

import pytest
import torch
from diffusers import (
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from peft import LoraConfig
from torch import nn

from engine.diffusion.scope import AdapterState, JobScope
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_jobs import embeds, picture, text, text_job
from tests.unit.engine.diffusion.tiny_pipelines import (
    Job,
    Rig,
    alone,
    assert_equal_to_rounding,
    assert_identical,
)


def test_sdxl_jobs_of_different_sizes_and_crops_share_forwards() -> None:
    def options(seed: int, **more: Any) -> dict[str, Any]:
        made = text(seed, width=40, **more)
        pooled = {"pooled_prompt_embeds": embeds(seed, width=24)[:, 0]}
        if "negative_prompt_embeds" in made:
            pooled["negative_pooled_prompt_embeds"] = embeds(-seed - 1, width=24)[:, 0]
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
    # Which of the two goes first decides the seconds each has had, so they may get out of step for a while.
    assert sum(rig.rows["unet"]) == 16
    assert 4 in rig.rows["unet"]


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
        options = text(
            seed, width=48, **pooled, negative_pooled_prompt_embeds=embeds(-seed - 1, width=40)[:, 0], **more
        )
        return Job(name, StableDiffusion3Pipeline, options, scheduler=None, seed=seed)

    jobs = [job("a", 1, steps=3), job("b", 2, steps=4)]
    rig = Rig(tiny_models.make_sd3())
    assert_equal_to_rounding(rig.run(jobs), alone(tiny_models.make_sd3(), jobs))
    assert rig.rows["transformer"] == [4, 4, 4, 2]


def add_ip_adapter(unet: Any) -> None:
    """An IP-Adapter of four image tokens, in the layout of its files."""
    attentions = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    with tiny_models.seeded(3):
        keys = {}
        for at, name in enumerate(attentions):
            width = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for kind in ("k", "v"):
                keys[f"{2 * at + 1}.to_{kind}_ip.weight"] = torch.randn(width, 16)
        projection = {"proj.weight": torch.randn(64, 16), "proj.bias": torch.zeros(64)}
        norm = {"norm.weight": torch.ones(16), "norm.bias": torch.zeros(16)}
        unet._load_ip_adapter_weights([{"image_proj": projection | norm, "ip_adapter": keys}])


def test_ip_adapter_jobs_with_different_pictures_share_forwards() -> None:
    def model() -> Any:
        made = tiny_models.make_sd1()
        add_ip_adapter(made.unet)
        return made

    jobs = [
        text_job("a", 1, ip_adapter_image_embeds=[torch.cat([torch.zeros(1, 1, 16), embeds(1, tokens=1)])]),
        text_job("b", 1, ip_adapter_image_embeds=[torch.cat([torch.zeros(1, 1, 16), embeds(2, tokens=1)])]),
        text_job("bare", 1, guidance=1.0, ip_adapter_image_embeds=[embeds(3, tokens=1)]),
    ]
    expected = alone(model(), jobs)
    assert not torch.equal(expected["a"], expected["b"])
    rig = Rig(model())
    assert_equal_to_rounding(rig.run(jobs), expected)
    assert rig.rows["unet"] == [5] * 4


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
