"""Modes of speed: each is the steps, the LoRA and the settings it stands for."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from safetensors.torch import save_file

from engine.diffusion.performance import MODES, steps_for
from engine.diffusion.studio import Studio
from protocol.events import StepFinished
from protocol.generation import ImageToImageParams
from protocol.performance import FEW_STEPS, OWN_SETTINGS, PERFORMANCE_DESCRIPTIONS, Performance
from tests import tiny_adapters
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import make, pixels, studio_of
from tests.unit.engine.driver import Driver

LORAS: Final = {
    "extreme_speed": "sdxl_lcm_lora",
    "lightning": "sdxl_lightning_4step_lora",
    "hyper_sd": "sdxl_hyper_sd_4step_lora",
}
ALIKE: Final[dict[str, dict[str, Any]]] = {
    "extreme_speed": {"steps": 8, "scheduler": "lcm", "loras": [{"name": "sdxl_lcm_lora", "weight": 1.0}]},
    "lightning": {
        "steps": 4,
        "scheduler": "euler",
        "noise_schedule": "sgm_uniform",
        "loras": [{"name": "sdxl_lightning_4step_lora", "weight": 1.0}],
    },
    "hyper_sd": {
        "steps": 4,
        "scheduler": "dpmpp_sde",
        "noise_schedule": "karras",
        "loras": [{"name": "sdxl_hyper_sd_4step_lora", "weight": 0.8}],
    },
}
"""What each fast mode is, said one by one."""
XL: Final = {"model": "sdxl", "width": 64, "height": 64, "deterministic": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fast") / "loras"
    root.mkdir()
    pipeline: Any = FOLDERS["sdxl"]()
    for seed, name in enumerate(LORAS.values()):
        save_file(tiny_adapters.kohya_lora(pipeline, seed=seed, text=False), root / f"{name}.safetensors")
    return root.parent


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, folder: Path) -> Studio:
    tiny_folder("sdxl")
    return studio_of(tiny_folder("sd1").parent, folder)


@pytest.fixture(scope="module")
def bare(tiny_folder: TinyFolder) -> Studio:
    """Without any LoRA."""
    tiny_folder("sdxl")
    return studio_of(tiny_folder("sd1").parent)


def ran(studio: Studio, **params: Any) -> Driver:
    """A job that does not say how many steps it wants, unless `params` do."""
    return make(studio, {**XL, "steps": None, **params})


def drawn(driver: Driver) -> Any:
    return pixels(driver.outputs[0].content)


def steps_of(driver: Driver) -> int:
    """As the last step tells: what the pipeline was set out to make."""
    return driver.of_type(StepFinished)[-1].steps


def test_every_mode_is_described_and_stands_for_something() -> None:
    assert set(PERFORMANCE_DESCRIPTIONS) == set(MODES) == set(Performance)


@pytest.mark.parametrize(("mode", "steps"), [("quality", 60), ("speed", 30)])
def test_a_careful_mode_is_a_number_of_steps(bare: Studio, mode: str, steps: int) -> None:
    made = ran(bare, performance=mode)
    assert steps_of(made) == steps
    assert made.warnings == []
    assert np.array_equal(drawn(made), drawn(ran(bare, steps=steps)))


@pytest.mark.parametrize("mode", ALIKE)
def test_a_fast_mode_is_its_lora_and_its_settings(studio: Studio, mode: str) -> None:
    made = ran(studio, performance=mode)
    assert made.warnings == []
    assert np.array_equal(drawn(made), drawn(ran(studio, guidance_scale=1.0, **ALIKE[mode])))


@pytest.mark.parametrize("mode", ALIKE)
def test_every_setting_of_a_fast_mode_counts(studio: Studio, mode: str) -> None:
    made = drawn(ran(studio, performance=mode))
    for left_out in ALIKE[mode]:
        other = {"scheduler": "dpmpp_2m"} if left_out == "scheduler" else {}
        fewer = {name: value for name, value in ALIKE[mode].items() if name != left_out} | other
        assert not np.array_equal(made, drawn(ran(studio, guidance_scale=1.0, **fewer))), left_out
    assert not np.array_equal(made, drawn(ran(studio, guidance_scale=2.5, **ALIKE[mode])))


def test_steps_of_the_request_count_before_those_of_the_mode(studio: Studio) -> None:
    assert steps_of(ran(studio, performance="quality", steps=5)) == 5
    assert steps_of(ran(studio, performance="lightning", steps=6)) == 6


@pytest.mark.parametrize(("mode", "steps"), [("quality", 36), ("speed", 18), ("lightning", 4)])
def test_a_picture_made_of_an_enlarged_one_takes_fewer_steps(mode: str, steps: int) -> None:
    asked = {"prompt": "a cat", "image": "upload:x", "upscale": 2.0, "performance": mode}
    assert steps_for(ImageToImageParams.model_validate(asked), MODES[Performance(mode)]) == steps
    assert steps_for(ImageToImageParams.model_validate({**asked, "steps": 9}), MODES[Performance(mode)]) == 9


def test_the_settings_that_fast_modes_do_not_go_by_are_those_the_protocol_names() -> None:
    assert {mode for mode, meant in MODES.items() if meant.loras} == FEW_STEPS
    for mode in FEW_STEPS:
        assert MODES[mode].forced.keys() == OWN_SETTINGS


@pytest.mark.parametrize("setting", [{"sharpness": 20.0}, {"adaptive_guidance": 3.0}, {"size_conditioning": {}}])
def test_what_goes_with_guidance_does_not_go_with_a_fast_mode(studio: Studio, setting: dict[str, Any]) -> None:
    against = ran(studio, performance="lightning", **setting)
    assert against.warnings == ["performance_overrides"]
    assert np.array_equal(drawn(against), drawn(ran(studio, performance="lightning")))


def test_what_a_fast_mode_does_not_go_by_is_told_and_has_no_effect(studio: Studio) -> None:
    against = ran(studio, performance="lightning", guidance_scale=7.0, scheduler="ddim", noise_schedule="karras")
    assert against.warnings == ["performance_overrides"]
    assert np.array_equal(drawn(against), drawn(ran(studio, performance="lightning")))


def test_a_fast_mode_without_its_lora_is_made_like_speed_and_told(bare: Studio) -> None:
    made = ran(bare, performance="lightning", guidance_scale=2.5)
    assert made.warnings == ["performance_unused"]
    assert np.array_equal(drawn(made), drawn(ran(bare, performance="speed", guidance_scale=2.5)))


def test_a_fast_mode_on_a_model_that_its_lora_is_not_for_is_made_like_speed(studio: Studio) -> None:
    made = ran(studio, performance="hyper_sd", model="sd1")
    assert made.warnings == ["performance_unused"]
    assert np.array_equal(drawn(made), drawn(ran(studio, performance="speed", model="sd1")))


@pytest.mark.parametrize(
    "how",
    [
        {"loras": [{"name": "SDXL_lightning_4step_lora.safetensors", "weight": 0.5}]},
        {"prompt": "a cat <lora:sdxl_lightning_4step_lora:0.5>"},
    ],
)
def test_a_lora_of_the_mode_that_the_request_names_counts_once(studio: Studio, how: dict[str, Any]) -> None:
    made = ran(studio, performance="lightning", **how)
    said = {**ALIKE["lightning"], "loras": [{"name": "sdxl_lightning_4step_lora", "weight": 0.5}]}
    assert np.array_equal(drawn(made), drawn(ran(studio, guidance_scale=1.0, **said)))


def test_other_loras_count_beside_that_of_the_mode(studio: Studio) -> None:
    others = [{"name": "sdxl_lcm_lora", "weight": 0.3}]
    made = ran(studio, performance="lightning", loras=others)
    said = {**ALIKE["lightning"], "loras": [*others, *ALIKE["lightning"]["loras"]]}
    assert np.array_equal(drawn(made), drawn(ran(studio, guidance_scale=1.0, **said)))
    assert not np.array_equal(drawn(made), drawn(ran(studio, performance="lightning")))
