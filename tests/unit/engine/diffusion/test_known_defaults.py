"""What is told of a model before it is loaded is what it has once it is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.diffusion.families import ModelDefaults, config_folder
from engine.diffusion.known_defaults import known_defaults, shown_size
from engine.diffusion.sizes import Size
from engine.library.records import Family, ModelKind
from tests.tiny_models import make_sd1
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model


@pytest.mark.parametrize(("name", "family"), [("sd1", Family.SD1), ("flux", Family.FLUX), ("sd3", Family.SD3)])
def test_what_is_known_before_loading_is_what_the_loaded_model_has(
    tiny_folder: TinyFolder, name: str, family: Family
) -> None:
    found = found_at(tiny_folder(name), family)
    assert known_defaults(found) == load_model(found, "cpu", torch.float32).defaults


def test_what_the_maker_wrote_beside_the_model_counts(tmp_path: Path) -> None:
    make_sd1().save_pretrained(tmp_path)
    (tmp_path / "safelight.json").write_text(json.dumps({"steps": 9, "show_px": 256}))
    defaults = known_defaults(found_at(tmp_path, Family.SD1))
    assert defaults is not None
    assert (defaults.steps, defaults.show_px) == (9, 256)


@pytest.mark.parametrize(
    ("family", "side"), [(Family.SD1, 512), (Family.SD2, 768), (Family.SDXL, 1024), (Family.SDXL_INPAINT, 1024)]
)
def test_a_single_file_has_the_defaults_of_its_familys_configuration(family: Family, side: int) -> None:
    assert config_folder(family, None) is not None
    defaults = known_defaults(found_at(Path("model.safetensors"), family))
    assert defaults is not None
    assert (defaults.width, defaults.height) == (side, side)


def test_nothing_is_known_of_what_is_no_checkpoint_has_a_problem_or_cannot_be_read(tmp_path: Path) -> None:
    assert known_defaults(found_at(Path("x.safetensors"), Family.SD1, ModelKind.LORA)) is None
    assert known_defaults(replace(found_at(Path("x.safetensors"), Family.SD1), problem="it is truncated")) is None
    assert known_defaults(found_at(Path("x.safetensors"), Family.UNKNOWN)) is None
    assert known_defaults(found_at(Path("x.safetensors"), Family.FLUX)) is None
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text("{")
    assert known_defaults(found_at(tmp_path, Family.SD1)) is None


def test_a_small_model_is_shown_larger_and_a_large_one_as_it_is() -> None:
    small = ModelDefaults(width=64, height=96, steps=20, guidance_scale=5.0)
    assert shown_size(small) == Size(64, 96)
    assert shown_size(replace(small, show_px=256)) == Size(256, 384)
    assert shown_size(replace(small, show_px=32)) == Size(64, 96)
