"""Of `engine.diffusion.tiled_vae`."""

import pytest
import torch

from engine.diffusion.intercepted import intercept_components
from engine.diffusion.tiled_vae import tiled
from tests.tiny_models import make_vae, seeded


@pytest.fixture
def pixels() -> torch.Tensor:
    with seeded(4):
        return torch.rand(1, 3, 64, 96) * 2 - 1


def test_a_twin_has_the_same_weights_and_leaves_the_other_whole(pixels: torch.Tensor) -> None:
    with seeded(1):
        vae = make_vae()
    before = vae.encode(pixels).latent_dist.mean
    twin = tiled(vae, 32)
    assert twin.encoder is vae.encoder
    assert twin.encode(pixels).latent_dist.mean.shape == before.shape
    assert not torch.equal(twin.encode(pixels).latent_dist.mean, before)
    assert torch.equal(vae.encode(pixels).latent_dist.mean, before)
    assert not vae.use_tiling


def test_it_works_as_the_libraries_own_tiling_does(pixels: torch.Tensor) -> None:
    with seeded(1):
        vae = make_vae()
    twin = tiled(vae, 32)
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = 32, 4
    latents = vae.encode(pixels).latent_dist.mean
    assert torch.equal(twin.encode(pixels).latent_dist.mean, latents)
    assert torch.equal(twin.decode(latents).sample, vae.decode(latents).sample)


def test_a_picture_of_one_tile_is_worked_on_whole(pixels: torch.Tensor) -> None:
    with seeded(1):
        vae = make_vae()
    assert torch.equal(tiled(vae, 96).encode(pixels).latent_dist.mean, vae.encode(pixels).latent_dist.mean)


def test_what_is_intercepted_for_the_whole_picture_is_not_for_its_tiles(pixels: torch.Tensor) -> None:
    with seeded(1):
        vae = make_vae()
    intercept_components({"vae": vae})
    twin = tiled(vae, 32)
    assert "encode" in vars(vae)
    assert not {"encode", "decode"} & set(vars(twin))
    assert "forward" in vars(twin.encoder)
    assert twin.encode(pixels).latent_dist.mean.shape == (1, 4, 8, 12)


def test_a_vae_that_knows_no_tiles_is_left_alone() -> None:
    other = torch.nn.Identity()
    assert tiled(other) is other
