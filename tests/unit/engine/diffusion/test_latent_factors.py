"""Linear factors: fitted, published, kept."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.diffusion.latent_factors import (
    Factors,
    fit_factors,
    fit_pictures,
    grey,
    load_factors,
    published_factors,
    save_factors,
    vae_hash,
)

FACTORS = Factors(((0.5, 0.0, 0.1), (0.0, -0.5, 0.2)), (0.1, 0.2, 0.3))
USUAL = {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4}


def test_fitted_factors_undo_a_linear_encoder() -> None:
    pictures = fit_pictures(4)
    mix = torch.tensor([[0.3, 0.6, 0.1], [0.5, -0.5, 0.0], [0.2, 0.2, -0.4], [0.9, 0.0, 0.3]])
    averaged = nn.functional.avg_pool2d(pictures, 4)
    latents = torch.einsum("ck,nkhw->nchw", mix, averaged) * 0.7 - 0.2
    factors = fit_factors(latents, pictures)
    for one in range(4):
        assert torch.allclose(factors.project(latents[one]), averaged[one], atol=1e-3)


def test_pictures_for_the_fit_are_always_the_same_and_of_all_colours() -> None:
    pictures = fit_pictures(8, count=64)
    assert pictures.shape == (64, 3, 64, 64)
    assert torch.equal(pictures, fit_pictures(8, count=64))
    assert float(pictures.abs().max()) <= 1
    means = pictures.mean(dim=(2, 3))
    for channel in range(3):
        others = [other for other in range(3) if other != channel]
        assert (means[:, channel] > means[:, others].amax(dim=1) + 0.3).any()
        assert (means[:, channel] < means[:, others].amin(dim=1) - 0.3).any()


def test_a_channel_that_says_nothing_does_not_spoil_the_fit() -> None:
    pictures = fit_pictures(4)
    averaged = nn.functional.avg_pool2d(pictures, 4)
    factors = fit_factors(torch.cat([averaged, torch.zeros_like(averaged[:, :1])], dim=1), pictures)
    assert max(abs(value) for row in factors.weight for value in row) < 2


def test_projecting_adds_weights_and_bias() -> None:
    latents = torch.tensor([1.0, 2.0]).reshape(2, 1, 1).expand(2, 3, 5)
    rgb = FACTORS.project(latents)
    assert rgb.shape == (3, 3, 5)
    assert rgb[:, 0, 0].tolist() == pytest.approx([0.6, -0.8, 0.8])


def test_grey_is_the_mean() -> None:
    rgb = grey(4).project(torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1))
    assert rgb.flatten().tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("scaling", "channels"), [(0.18215, 4), (0.13025, 4), (1.5305, 16), (0.3611, 16)])
def test_usual_vaes_have_published_factors(scaling: float, channels: int) -> None:
    factors = published_factors({**USUAL, "scaling_factor": scaling, "latent_channels": channels})
    assert factors is not None
    assert factors.channels == channels


@pytest.mark.parametrize(
    "change",
    [{"scaling_factor": 1.0}, {"scaling_factor": None}, {"block_out_channels": [16, 32, 48]}, {"latent_channels": 16}],
)
def test_other_vaes_have_none(change: dict[str, object]) -> None:
    assert published_factors({**USUAL, "scaling_factor": 0.18215, **change}) is None


def test_factors_are_read_back_as_they_were_kept(tmp_path: Path) -> None:
    folder = tmp_path / "previews"
    save_factors(folder, "abc", FACTORS)
    assert load_factors(folder, "abc") == FACTORS
    assert [path.name for path in folder.iterdir()] == ["abc.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"weight": []}', '{"weight": [], "bias": [0, 0, 0]}', '{"weight": [[1]], "bias": [1]}']
)
def test_damaged_files_are_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "abc.json").write_text(content)
    assert load_factors(tmp_path, "abc") is None
    assert load_factors(tmp_path, "other") is None


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_factors(tmp_path, "abc", FACTORS)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        save_factors(tmp_path, "abc", grey(2))
    assert [path.name for path in tmp_path.iterdir()] == ["abc.json"]
    assert json.loads((tmp_path / "abc.json").read_text())["bias"] == [0.1, 0.2, 0.3]


def test_the_hash_of_a_vae_is_that_of_its_weights() -> None:
    def made(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1))

    assert vae_hash(made(0)) == vae_hash(made(0)) == vae_hash(made(0).half().float())
    assert vae_hash(made(0)) == vae_hash(made(0).double())
    assert vae_hash(made(0)) != vae_hash(made(1))
