"""Of `engine.diffusion.replay`: as the pipelines read what they are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.replay import replay


def made(levels: int, strength: float) -> int:
    """The steps that the stock pipelines make which round them down."""
    return min(int(levels * strength), levels)


def made_upwards(levels: int, strength: float) -> int:
    """Likewise of those that round what they leave out."""
    return levels - int(max(levels - min(levels * strength, levels), 0))


@given(st.integers(1, 500), st.floats(0, 1, exclude_max=True))
def test_all_steps_are_made_at_any_strength(steps: int, strength: float) -> None:
    asked = replay(steps, strength, is_full=True)
    assert made(asked.levels, asked.strength) == made_upwards(asked.levels, asked.strength) == steps
    assert steps < asked.levels
    assert asked.levels <= 1000


@given(st.integers(1, 500), st.floats(0, 1))
def test_otherwise_their_share_is_made_and_at_least_one(steps: int, strength: float) -> None:
    asked = replay(steps, strength, is_full=False)
    assert asked.levels == steps
    assert 0 < asked.strength <= 1  # no pipeline takes more
    assert made(asked.levels, asked.strength) == max(1, int(steps * strength))


@given(st.integers(1, 200), st.floats(0, 1))
def test_less_than_a_step_is_one_however_it_is_rounded(steps: int, share: float) -> None:
    asked = replay(steps, share / steps, is_full=False)
    assert made(asked.levels, asked.strength) == made_upwards(asked.levels, asked.strength) == 1


@pytest.mark.parametrize(("steps", "strength", "levels"), [(30, 0.5, 60), (30, 0.85, 36), (18, 0.382, 48), (30, 1, 30)])
def test_the_schedule_is_cut_as_much_finer_as_its_share_is_small(steps: int, strength: float, levels: int) -> None:
    assert replay(steps, strength, is_full=True).levels == levels
