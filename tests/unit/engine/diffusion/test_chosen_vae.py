"""A VAE that a job chose: its pictures, its previews, and what stays of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.models.residency import Residency
from protocol.errors import ErrorCode
from tests.tiny_files import vae_tensors, write_single_file
from tests.tiny_models import make_vae, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import draw, draw_at_once, make, studio_of


def other_vae(**more: Any) -> Any:
    with seeded(99):
        return make_vae(**more)


@pytest.fixture(scope="module")
def vaes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vaes") / "vae"
    folder.mkdir()
    write_single_file(vae_tensors(other_vae()), folder / "sharp.safetensors")
    other_vae().save_pretrained(folder / "sharp-folder")
    other_vae().save_pretrained(folder / "soft")
    other_vae(latent_channels=16).save_pretrained(folder / "wide")
    return folder.parent


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, vaes: Path) -> Studio:
    return studio_of(tiny_folder("sd1").parent, vaes)


@pytest.mark.parametrize("name", ["sharp", "sharp-folder"])
def test_a_chosen_vae_draws_what_a_stock_pipeline_with_it_draws(
    studio: Studio, tiny_folder: TinyFolder, name: str
) -> None:
    stock = StableDiffusionPipeline.from_pretrained(tiny_folder("sd1"), vae=other_vae(), safety_checker=None)
    stock.set_progress_bar_config(disable=True)
    expected = stock(
        "a cat", num_inference_steps=3, guidance_scale=7.0, generator=torch.Generator().manual_seed(5), output_type="np"
    ).images[0]
    made = draw(studio, {"vae": name, "guidance_scale": 7.0})
    assert np.abs(made / 255 - expected).max() < 1 / 255
    assert not np.array_equal(made, draw(studio, {"guidance_scale": 7.0}))


def test_jobs_with_different_vaes_at_once_draw_what_they_draw_alone(studio: Studio) -> None:
    own, chosen = draw(studio, {"deterministic": True}), draw(studio, {"vae": "sharp", "deterministic": True})
    at_once = draw_at_once(studio, {"vae": "sharp", "deterministic": True}, {"deterministic": True})
    assert np.array_equal(at_once[0], chosen)
    assert np.array_equal(at_once[1], own)


def test_previews_show_what_the_chosen_vae_would_make(studio: Studio) -> None:
    own, chosen = make(studio, {}).pictures[-1], make(studio, {"vae": "sharp"}).pictures[-1]
    assert not np.array_equal(own, chosen)


def test_a_vae_that_is_not_there_is_named(studio: Studio) -> None:
    with pytest.raises(EngineError, match="no vae 'blunt'") as error:
        make(studio, {"vae": "blunt"})
    assert error.value.code is ErrorCode.MODEL_MISSING


def test_a_vae_of_another_number_of_channels_is_refused(studio: Studio) -> None:
    with pytest.raises(EngineError, match="channels"):
        make(studio, {"vae": "wide"})
    assert draw(studio, {}).shape == (64, 64, 3)


def test_a_vae_is_dropped_when_others_need_its_room(tiny_folder: TinyFolder, vaes: Path) -> None:
    residency = Residency(Path(), "cpu", budget_bytes=1)
    studio = studio_of(tiny_folder("sd1").parent, vaes, residency=residency)
    make(studio, {"vae": "sharp-folder"})
    assert residency.names == ("checkpoint:sd1", "vae:sharp-folder")
    make(studio, {"vae": "soft"})
    assert residency.names == ("checkpoint:sd1", "vae:soft")
