"""Noise schedules as numbers."""

import math

import numpy as np
import pytest

from engine.diffusion.noise_levels import Levels, noise_levels, timesteps_at, whole_timesteps
from protocol.sampling import NOISE_SCHEDULE_DESCRIPTIONS, NoiseSchedule

OF_A_TABLE = [schedule for schedule in NoiseSchedule if schedule is not NoiseSchedule.EDM]
SCHEDULES = pytest.mark.parametrize("schedule", OF_A_TABLE)


@pytest.fixture(scope="module")
def table() -> Levels:
    """The sigmas SD 1.5 and SDXL were trained on."""
    alphas = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    return np.sqrt((1 - alphas) / alphas)


@SCHEDULES
@pytest.mark.parametrize("steps", [1, 2, 7, 10, 30, 150])
def test_levels_fall_strictly_from_within_the_table_to_zero(schedule: NoiseSchedule, steps: int, table: Levels) -> None:
    levels = noise_levels(schedule, table, steps)
    assert levels.shape == (steps + 1,)
    assert levels[-1] == 0
    assert (np.diff(levels) < 0).all()
    assert levels[0] <= table[-1] * 1.0001
    assert levels[-2] >= table[0] * 0.99


def test_no_two_schedules_are_the_same(table: Levels) -> None:
    made = [noise_levels(schedule, table, 7) for schedule in OF_A_TABLE]
    for index, one in enumerate(made):
        assert not any(np.array_equal(one, other) for other in made[:index])


@pytest.mark.parametrize("schedule", NoiseSchedule)
def test_every_schedule_is_described(schedule: NoiseSchedule) -> None:
    assert NOISE_SCHEDULE_DESCRIPTIONS[schedule].endswith(".")


def test_karras_levels_are_those_of_the_paper(table: Levels) -> None:
    low, high = table[0], table[-1]
    wanted = [(high ** (1 / 7) + i / 4 * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(5)]
    assert noise_levels(NoiseSchedule.KARRAS, table, 5)[:-1] == pytest.approx(wanted)


def test_exponential_levels_have_one_ratio(table: Levels) -> None:
    levels = noise_levels(NoiseSchedule.EXPONENTIAL, table, 6)[:-1]
    assert np.diff(np.log(levels)) == pytest.approx([math.log(table[0] / table[-1]) / 5] * 5)


@pytest.mark.parametrize(
    ("schedule", "timesteps"),
    [
        (NoiseSchedule.NORMAL, [999, 749.25, 499.5, 249.75, 0]),
        (NoiseSchedule.SGM_UNIFORM, [999, 799.2, 599.4, 399.6, 199.8]),
        (NoiseSchedule.SIMPLE, [999, 799, 599, 399, 199]),
        (NoiseSchedule.TRAILING, [999, 799, 599, 399, 199]),
        (NoiseSchedule.DDIM_UNIFORM, [801, 601, 401, 201, 1]),
        (NoiseSchedule.TURBO, [999, 899, 799, 699, 599]),
        (NoiseSchedule.LCM, [999, 803, 607, 411, 215]),
    ],
)
def test_uniform_schedules_stop_at_the_timesteps_of_their_name(
    schedule: NoiseSchedule, timesteps: list[float], table: Levels
) -> None:
    levels = noise_levels(schedule, table, 5)[:-1]
    assert timesteps_at(levels, table) == pytest.approx(timesteps, abs=1e-6)


def test_simple_and_trailing_differ_where_the_steps_do_not_divide_the_table(table: Levels) -> None:
    simple, trailing = (noise_levels(name, table, 7)[:-1] for name in (NoiseSchedule.SIMPLE, NoiseSchedule.TRAILING))
    assert list(whole_timesteps(simple, table))[1] == 857  # 999 - floor(1000 / 7)
    assert list(whole_timesteps(trailing, table))[1] == 856  # round(1000 - 1000 / 7) - 1


def test_more_steps_than_turbo_models_have_are_spread_over_all_levels(table: Levels) -> None:
    turbo, trailing = (noise_levels(name, table, 11) for name in (NoiseSchedule.TURBO, NoiseSchedule.TRAILING))
    assert np.array_equal(turbo, trailing)


def test_beta_quantiles_agree_with_the_distribution(table: Levels) -> None:
    # The distribution function of Beta(0.6, 0.6) by plain midpoint sums, at the timesteps the schedule chose.
    timesteps = timesteps_at(noise_levels(NoiseSchedule.BETA, table, 5)[:-1], table) / 999
    cells = (np.arange(2_000_000) + 0.5) / 2_000_000
    density = (cells * (1 - cells)) ** -0.4
    shares = [density[cells <= at].sum() / density.sum() for at in timesteps]
    assert shares == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2], abs=2e-3)


def test_align_your_steps_has_the_published_ten_and_a_table_for_sdxl(table: Levels) -> None:
    ten = noise_levels(NoiseSchedule.ALIGN_YOUR_STEPS, table, 10)
    assert ten[:-1] == pytest.approx([14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152])
    sdxl = noise_levels(NoiseSchedule.ALIGN_YOUR_STEPS, table, 10, is_sdxl=True)
    assert sdxl[1] == pytest.approx(6.315)


def test_align_your_steps_is_interpolated_in_the_logarithm(table: Levels) -> None:
    twenty = noise_levels(NoiseSchedule.ALIGN_YOUR_STEPS, table, 20)
    assert twenty[2] == pytest.approx(6.475)
    assert twenty[1] == pytest.approx(math.sqrt(14.615 * 6.475))


def test_kl_optimal_is_even_in_the_arctangent(table: Levels) -> None:
    angles = np.arctan(noise_levels(NoiseSchedule.KL_OPTIMAL, table, 9)[:-1])
    assert np.diff(angles) == pytest.approx(np.diff(angles)[:1].repeat(8))


def test_whole_timesteps_never_repeat(table: Levels) -> None:
    found = whole_timesteps(noise_levels(NoiseSchedule.KARRAS, table, 150)[:-1], table)
    assert len(set(found.tolist())) == 150
    assert found[0] == 999
    assert found[-1] >= 0
