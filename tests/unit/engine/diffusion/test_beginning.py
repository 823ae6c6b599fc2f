"""Of `engine.diffusion.beginning`, on stock pipelines: what the latents of the first step are."""

from typing import Any

import pytest
import torch
from diffusers import FluxInpaintPipeline, StableDiffusion3InpaintPipeline, StableDiffusionInpaintPipeline
from torch import Tensor

from engine.diffusion.beginning import begin
from protocol.generation import InpaintParams, OutpaintParams
from protocol.params import Region
from tests.tiny_models import make_flux, make_sd1, make_sd3, seeded


@pytest.fixture
def pipeline() -> Any:
    made = StableDiffusionInpaintPipeline(**make_sd1().components, requires_safety_checker=False)
    made.scheduler.set_timesteps(10)
    return made


@pytest.fixture
def picture() -> Tensor:
    with seeded(2):
        return torch.rand(1, 3, 64, 64) * 2 - 1


def asked(**params: Any) -> InpaintParams:
    whole = Region(x=0, y=0, width=9, height=9)
    return InpaintParams(prompt="a cat", image="upload:x", regions=(whole,), **params)


def began(pipeline: Any, picture: Tensor, *, at: int, is_whole: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The latents of the first step, the noise and the latents of the picture, as the stock pipeline asks for them.

    Args:
        at: which of the noise levels is the first.
        is_whole: all of them are gone through: strength 1.
    """
    made: tuple[Tensor, Tensor, Tensor] = pipeline.prepare_latents(
        1,
        4,
        64,
        64,
        torch.float32,
        torch.device("cpu"),
        torch.Generator().manual_seed(5),
        None,
        image=picture,
        timestep=pipeline.scheduler.timesteps[at : at + 1],
        is_strength_max=is_whole,
        return_noise=True,
        return_image_latents=True,
    )
    return made


def refuse(code: str, message: str) -> None:
    raise AssertionError(f"{code}: {message}")


def test_the_picture_lies_under_the_first_noise_at_full_strength(pipeline: Any, picture: Tensor) -> None:
    latents, noise, _ = began(pipeline, picture, at=0, is_whole=True)
    assert torch.equal(latents, noise * pipeline.scheduler.init_noise_sigma)
    begin(pipeline, asked(start="picture"), 1.0, refuse)
    latents, noise, clean = began(pipeline, picture, at=0, is_whole=True)
    assert torch.equal(latents, pipeline.scheduler.add_noise(clean, noise, pipeline.scheduler.timesteps[:1]))


def test_a_fill_is_started_from(pipeline: Any, picture: Tensor) -> None:
    begin(pipeline, asked(fill="blur"), 1.0, refuse)
    latents, noise, clean = began(pipeline, picture, at=0, is_whole=True)
    assert torch.equal(latents, pipeline.scheduler.add_noise(clean, noise, pipeline.scheduler.timesteps[:1]))


def test_noise_alone_has_the_level_of_the_first_step(pipeline: Any, picture: Tensor) -> None:
    begin(pipeline, asked(start="noise"), 0.6, refuse)
    latents, noise, clean = began(pipeline, picture, at=4, is_whole=False)
    level = pipeline.scheduler.timesteps[4:5]
    assert torch.equal(latents, pipeline.scheduler.add_noise(torch.zeros_like(clean), noise, level))
    assert latents.std() < noise.std()


@pytest.mark.parametrize("params", [{}, {"start": "noise"}])
def test_at_full_strength_noise_alone_is_what_pipelines_start_from(
    pipeline: Any, picture: Tensor, params: dict[str, Any]
) -> None:
    before = began(pipeline, picture, at=0, is_whole=True)
    begin(pipeline, asked(**params), 1.0, refuse)
    assert all(map(torch.equal, before, began(pipeline, picture, at=0, is_whole=True)))


def test_a_task_without_these_parameters_is_left_alone(pipeline: Any) -> None:
    begin(pipeline, OutpaintParams(prompt="a cat", image="upload:x", left=8), 1.0, refuse)
    assert "prepare_latents" not in vars(pipeline)


@pytest.mark.parametrize(
    ("of_class", "make"), [(StableDiffusion3InpaintPipeline, make_sd3), (FluxInpaintPipeline, make_flux)]
)
def test_a_model_of_the_flow_kind_has_nothing_but_noise_at_full_strength(of_class: Any, make: Any) -> None:
    told: list[tuple[str, str]] = []
    made = of_class(**make().components)
    begin(made, asked(start="picture", fill="blur"), 1.0, lambda code, message: told.append((code, message)))
    assert [code for code, _ in told] == ["start_unused", "fill_unused"]
    assert "at strength 1 this family of models starts from noise alone" in told[0][1]
    told.clear()
    begin(made, asked(fill="blur"), 0.9, lambda code, message: told.append((code, message)))
    assert told == []


def test_a_pipeline_that_prepares_its_latents_otherwise_is_told_of() -> None:
    class Other:
        scheduler = make_sd1().scheduler

        def prepare_latents(self, batch_size: int, latents: Any = None) -> Any:
            return batch_size, latents

    told: list[str] = []
    other = Other()
    begin(other, asked(start="noise"), 0.5, lambda code, _message: told.append(code))
    assert told == ["start_unused"]
    assert "prepare_latents" not in vars(other)
