"""The page about samplers has every name, and what it says of each is what the table in the code says."""

import re
from pathlib import Path

import pytest

from engine.diffusion.noise_levels import ALIGNED_SDXL, BETA_SHAPE, KARRAS_RHO
from engine.diffusion.samplers import FLOW_SAMPLERS, SAMPLERS
from engine.diffusion.schedulers import make_scheduler, total_steps
from protocol.sampling import NoiseSchedule, SchedulerName

# What diffusers does that numpy would rather it did not.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

PAGE = (Path(__file__).parents[2] / "docs" / "schedulers.md").read_text("utf-8")
CONFIG = {"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "skip_prk_steps": True, "steps_offset": 1}
FLOW_CONFIG = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
NAMES = pytest.mark.parametrize("name", SchedulerName)


def rows(heading: str) -> dict[str, tuple[str, ...]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \|(.+)\|$", section, re.MULTILINE)
    return {name: tuple(cell.strip() for cell in rest.split("|")) for name, rest in found}


def test_the_tables_have_every_name_in_order() -> None:
    assert list(rows("Samplers")) == list(SchedulerName)
    assert list(rows("Noise schedules")) == list(NoiseSchedule)


@NAMES
def test_a_sampler_is_served_by_the_class_its_row_names(name: SchedulerName) -> None:
    kind = SAMPLERS[name].kind if name in SAMPLERS else FLOW_SAMPLERS[name].__mro__[2]
    assert rows("Samplers")[name][0] == f"`{kind.__name__}`"


@NAMES
def test_a_sampler_calls_the_model_as_often_as_its_row_says(name: SchedulerName) -> None:
    config = CONFIG if name in SAMPLERS else FLOW_CONFIG
    scheduler = make_scheduler(config, name, warn=lambda *_: None)
    scheduler.set_timesteps(10)
    wanted = {"n": 10, "n + 1": 11, "2n - 1": 19}[rows("Samplers")[name][1]]
    assert total_steps(scheduler) == wanted


@NAMES
def test_an_approximation_is_called_one(name: SchedulerName) -> None:
    is_approximated = name in SAMPLERS and SAMPLERS[name].stands_for is not None
    assert ("approximated" in rows("Samplers")[name][3]) == is_approximated


@NAMES
def test_levels_of_a_samplers_own_and_levels_left_out_are_told(name: SchedulerName) -> None:
    told = rows("Samplers")[name][3]
    if name not in SAMPLERS:
        return
    sampler = SAMPLERS[name]
    is_told = "its own levels" in told or "like `dpm_fast`" in told
    assert is_told == (sampler.own_schedule is not None)
    assert sampler.skips_penultimate == bool(re.search(r"smallest level|as `(dpm_2|uni_pc)`", told))


def test_numbers_are_those_of_the_code() -> None:
    assert f"Beta({BETA_SHAPE}, {BETA_SHAPE})" in PAGE
    assert KARRAS_RHO == 7
    assert "seventh root" in PAGE
    assert len(ALIGNED_SDXL) == 11
