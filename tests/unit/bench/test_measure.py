"""Verdicts and percentiles."""

import pytest

from bench.measure import Goal, Round, compare, percentile


def rounds(*ratios):
    return [Round(ratio * 10.0, 10.0) for ratio in ratios]


@pytest.mark.parametrize(("goal", "limit", "is_met"), [(Goal.AT_MOST, 1.2, False), (Goal.AT_LEAST, 1.2, True)])
def test_a_goal_has_a_side(goal, limit, is_met):
    measure = compare("x", rounds(1.3), unit="us", against="raw", goal=goal, limit=limit)
    assert measure.is_met is is_met


def test_one_odd_round_does_not_decide():
    assert compare("x", rounds(1.0, 9.0, 1.1), unit="us", against="raw").ratio == pytest.approx(1.1)


def test_without_a_goal_there_is_no_verdict():
    assert compare("x", rounds(1.0), unit="us", against="raw").is_met is None


def test_the_99th_of_100_values_is_the_second_largest():
    assert percentile(range(100), 0.99) == 98


def test_there_is_no_percentile_of_nothing():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
