"""Budgets and the learning rate over them."""

import pytest

from training.spark.budget import Budget, learning_rate_factor


def factor(step: int, progress: float) -> float:
    return learning_rate_factor(step, progress, warmup_steps=100, decay_from=0.6)


def test_a_budget_in_steps_does_not_look_at_the_clock() -> None:
    assert Budget(steps=10).progress(5, elapsed_s=1e9) == 0.5


def test_a_budget_in_minutes_does_not_look_at_the_steps() -> None:
    assert Budget(minutes=2).progress(10**9, elapsed_s=30) == 0.25


@pytest.mark.parametrize(("steps", "minutes"), [(None, None), (1, 1.0)])
def test_a_budget_is_one_of_the_two(steps: int | None, minutes: float | None) -> None:
    with pytest.raises(ValueError, match="steps or minutes"):
        Budget(steps, minutes)


def test_the_rate_rises_stays_and_falls_to_two_per_cent() -> None:
    assert factor(0, 0.0) == 0.01
    assert factor(500, 0.1) == factor(5000, 0.6) == 1
    assert 0.4 < factor(7000, 0.8) < 0.6
    assert factor(9999, 1.0) == pytest.approx(0.02)
    assert factor(9999, 2.0) == pytest.approx(0.02)


def test_a_longer_budget_changes_nothing_before_the_fall() -> None:
    short, long = Budget(steps=1000), Budget(steps=5000)
    for step in range(0, 600, 50):
        assert factor(step, short.progress(step, 0)) == factor(step, long.progress(step, 0))
