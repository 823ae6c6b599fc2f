"""Tiny VAEs for previews: found for the model they fit, read in every form they come in, and left out otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.diffusion.loaded import LoadedModel
from engine.diffusion.loading import loading
from engine.diffusion.tiny_vaes import renamed_decoder, tiny_vae_loading
from engine.library.layouts import Root
from engine.library.library import Library
from engine.library.records import Family
from engine.library.roots import EMBEDDED_DIR
from engine.steps import run_through
from tests.tiny_models import make_sd1, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.found import found_at
from tests.unit.engine.diffusion.studios import make, studio_of

WIDTH = 64
"""Of TAESD itself, whose single files are all built alike."""


def make_tiny(latent_channels: int = 4, *, levels: int = 4, width: int = 8) -> Any:
    """An `AutoencoderTiny` for places of 8 px, and few weights."""
    with seeded(7):
        return AutoencoderTiny(
            encoder_block_out_channels=(4,) * levels,
            num_encoder_blocks=(0,) * levels,
            decoder_block_out_channels=(width,) * levels,
            num_decoder_blocks=(1,) * levels,
            latent_channels=latent_channels,
        ).eval()


class Block(nn.Module):
    """TAESD's block as its paper trail describes it: three convolutions and the way past them."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3)]
        first, second, third = convolutions
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, given: Tensor) -> Tensor:
        return torch.relu(self.conv(given) + given)


class Clamp(nn.Module):
    def forward(self, given: Tensor) -> Tensor:
        return 3 * torch.tanh(given / 3)


def make_original(latent_channels: int = 4) -> nn.Sequential:
    """TAESD's decoder as its own program builds it; pictures in [0, 1]."""
    with seeded(8):
        layers: list[nn.Module] = [Clamp(), nn.Conv2d(latent_channels, WIDTH, 3, padding=1), nn.ReLU()]
        for _ in range(3):
            layers += [Block(), Block(), Block(), nn.Upsample(scale_factor=2)]
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
        return nn.Sequential(*layers, Block(), nn.Conv2d(WIDTH, 3, 3, padding=1)).eval()


def loaded(folder: Path, family: Family) -> LoadedModel:
    return run_through(loading(found_at(folder, family), "cpu", torch.float32))


def tiny_for(model: LoadedModel, place: Path, folder: Path | None = None) -> Any:
    """The tiny VAE that a library of what lies in `place` has for the model."""
    library = Library([Root(path=place)])
    library.refresh()
    return run_through(tiny_vae_loading(library.models, model, folder))


@pytest.fixture
def model(tiny_folder: TinyFolder) -> LoadedModel:
    return loaded(tiny_folder("sd1"), Family.SD1)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def same_pictures(one: Any, other: Any) -> bool:
    given = 2 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return torch.allclose(one.decode(given).sample, other.decode(given).sample, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "base", "family"),
    [("taesd", "sd1", Family.SD1), ("taesdxl", "sdxl", Family.SDXL), ("taesd", "sd2", Family.SD2)],
)
def test_folder_of_the_familys_name_decodes_its_latents(
    tmp_path: Path, tiny_folder: TinyFolder, name: str, base: str, family: Family
) -> None:
    make_tiny().save_pretrained(tmp_path / name)
    other = "taesd" if name == "taesdxl" else "taesdxl"
    make_tiny(width=4).save_pretrained(tmp_path / other)
    tiny = tiny_for(loaded(tiny_folder(base), family), tmp_path)
    assert same_pictures(tiny, make_tiny())


@pytest.mark.parametrize(("name", "base"), [("taesd3", "sd3"), ("taef1", "flux")])
def test_families_of_sixteen_channels_have_theirs(
    tmp_path: Path, tiny_folder: TinyFolder, name: str, base: str
) -> None:
    model = loaded(tiny_folder(base), Family(base))
    channels, levels = model.vae.config.latent_channels, len(model.vae.config.block_out_channels)
    make_tiny(channels, levels=levels).save_pretrained(tmp_path / name)
    model.vae.register_to_config(scaling_factor={"sd3": 1.5305, "flux": 0.3611}[base])
    tiny = tiny_for(model, tmp_path)
    assert tiny.config.latent_channels == channels


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "taesd_decoder."])
def test_single_file_of_the_original_decodes_as_the_original(
    tmp_path: Path, model: LoadedModel, suffix: str, prefix: str
) -> None:
    original = make_original()
    tensors = {f"{prefix}{name}": tensor for name, tensor in original.state_dict().items()}
    place = tmp_path / "vae_approx"
    place.mkdir()
    path = place / f"taesd_decoder{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    tiny = tiny_for(model, tmp_path)
    given = 2 * torch.randn(1, 4, 8, 8)
    assert torch.allclose(tiny.decode(given).sample, 2 * original(given) - 1, atol=1e-5)


def test_single_file_in_the_names_of_diffusers_decodes_as_its_twin(tmp_path: Path, model: LoadedModel) -> None:
    with seeded(9):
        twin = AutoencoderTiny(encoder_block_out_channels=(4,), num_encoder_blocks=(0,)).eval()
    save_file(twin.state_dict(), tmp_path / "taesd.safetensors")
    assert same_pictures(tiny_for(model, tmp_path), twin)


def test_names_of_an_encoder_are_not_taken_for_a_decoders() -> None:
    assert renamed_decoder({"taesd_encoder.0.weight": torch.zeros(1)}) == {}


def test_the_model_without_a_tiny_vae_has_none(tmp_path: Path, model: LoadedModel, logs: list[Any]) -> None:
    make_tiny().save_pretrained(tmp_path / "taesdxl")
    assert tiny_for(model, tmp_path) is None
    assert not logs or {entry["event"] for entry in logs} == {"library.changed"}


def test_latents_of_another_scale_are_not_shown_by_a_published_one(tmp_path: Path, model: LoadedModel) -> None:
    make_tiny().save_pretrained(tmp_path / "taesd")
    model.vae.register_to_config(scaling_factor=1.0)
    assert tiny_for(model, tmp_path) is None


def _of_other_channels(place: Path) -> None:
    make_tiny(16).save_pretrained(place / "taesd")


def _of_other_places(place: Path) -> None:
    make_tiny(levels=3).save_pretrained(place / "taesd")


def _of_another_class(place: Path) -> None:
    make_tiny().save_pretrained(place / "taesd")
    config = place / "taesd" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "AutoencoderKL"}))


def _not_whole(place: Path) -> None:
    tensors = make_original().state_dict()
    del tensors["9.conv.2.bias"]
    save_file(tensors, place / "taesd_decoder.safetensors")


def _pickle_that_runs_code(place: Path) -> None:
    names = dict.fromkeys(make_original().state_dict(), print)
    torch.save(names, place / "taesd_decoder.pth")


@pytest.mark.parametrize(
    ("make_bad", "said"),
    [
        (_of_other_channels, "16 channels"),
        (_of_other_places, "places of 4 px"),
        (_of_another_class, "AutoencoderKL"),
        (_not_whole, "layers.8.conv.2.bias missing"),
        (_pickle_that_runs_code, "run code"),
    ],
)
def test_one_that_does_not_fit_is_named_in_the_log_and_left_out(
    tmp_path: Path, model: LoadedModel, logs: list[Any], make_bad: Any, said: str
) -> None:
    make_bad(tmp_path)
    assert tiny_for(model, tmp_path) is None
    (entry,) = (entry for entry in logs if entry["event"] == "preview.decoder_unusable")
    assert said in entry["problem"]
    assert str(tmp_path) not in entry["problem"]


def test_one_inside_the_models_own_folder_goes_before_all_others(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    make_sd1().save_pretrained(folder)
    make_tiny().save_pretrained(folder / "quick_look")
    make_tiny(width=4).save_pretrained(tmp_path / "taesd")
    model = loaded(folder, Family.SD1)
    model.vae.register_to_config(scaling_factor=1.0)  # of a model of its own: no published one fits
    assert same_pictures(tiny_for(model, tmp_path, folder), make_tiny())


def test_it_counts_with_the_model_in_memory_and_previews_come_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sd1"
    make_sd1().save_pretrained(folder)
    make_tiny().save_pretrained(folder / "quick_look")
    monkeypatch.setattr("engine.diffusion.previews.timed", _timed)
    studio = studio_of(tmp_path)
    ready = run_through(studio.ready(studio.find("sd1")))
    assert ready.tiny_vae is not None
    assert ready.size_bytes > ready.loaded.size_bytes
    seen: list[int] = []
    ready.tiny_vae.decoder.register_forward_hook(lambda *_: seen.append(1))
    assert len(make(studio, {}).pictures) == len(seen) > 0


def _timed(decoder: nn.Module, *_: Any) -> Any:
    """Tiny ones are cheap, others dear."""
    return 0.0 if type(decoder).__name__ == "AutoencoderTiny" else 1.0
    yield


def test_the_embedded_model_brings_its_own() -> None:
    model = loaded(EMBEDDED_DIR, Family.SD1)
    tiny = run_through(tiny_vae_loading([], model, EMBEDDED_DIR))
    latents = torch.randn(1, 4, 16, 16)
    assert tiny.decode(latents).sample.shape == model.vae.decode(latents).sample.shape
