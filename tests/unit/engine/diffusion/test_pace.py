"""How many rows a forward takes, from times that a test makes up."""

import random
from collections.abc import Callable

from engine.diffusion.pace import MOST_ROWS, Pace

Cost = Callable[[int], float]


def flat(_rows: int) -> float:
    """A device that is never full."""
    return 0.01


def linear(rows: int) -> float:
    """A device that one row fills."""
    return 0.01 * rows


def run_as_allowed(pace: Pace, cost: Cost, runs: int = 40, rows: int = 2) -> list[int]:
    """Run as many rows as allowed, each time; how many that was."""
    taken = []
    for _ in range(runs):
        taken.append(pace.most_rows(rows))
        pace.record(taken[-1], cost(taken[-1]))
    return taken


def test_nothing_is_grouped_before_one_call_alone_was_measured() -> None:
    pace = Pace()
    assert pace.most_rows(2) == 2
    pace.record(2, 9.0)
    assert pace.most_rows(2) == 2
    pace.record(2, 0.01)
    assert pace.most_rows(2) == 4


def test_rows_are_doubled_as_long_as_a_row_becomes_cheaper() -> None:
    taken = run_as_allowed(Pace(), flat)
    assert sorted(set(taken)) == [2, 4, 8, 16, 32]
    assert taken == sorted(taken)
    assert taken[-1] == MOST_ROWS


def test_calls_run_one_by_one_where_more_rows_take_as_much_longer() -> None:
    taken = run_as_allowed(Pace(), linear, runs=1000)
    assert max(taken) == 4
    assert taken.count(4) < 50


def test_rows_stop_where_the_device_is_full() -> None:
    taken = run_as_allowed(Pace(), lambda rows: 0.01 * max(rows, 8), runs=1000)
    assert max(taken) == 16
    assert taken.count(16) < 50
    assert taken.count(8) > 900


def test_the_first_run_of_a_size_is_not_held_against_it() -> None:
    pace, seen = Pace(), set()

    def warming(rows: int) -> float:
        is_first = rows not in seen
        seen.add(rows)
        return 30.0 if is_first else 0.01

    assert run_as_allowed(pace, warming)[-1] == MOST_ROWS


def test_one_run_that_was_disturbed_changes_nothing() -> None:
    pace = Pace()
    run_as_allowed(pace, flat)
    pace.record(MOST_ROWS, 5.0)
    assert pace.most_rows(2) == MOST_ROWS


def test_a_size_that_pays_is_kept_on_a_machine_that_is_busy_with_something_else() -> None:
    """Most runs take up to five times as long, whatever their size."""
    pace, noise = Pace(), random.Random(1)

    def disturbed(rows: int) -> float:
        return (0.02 + 0.002 * rows) * noise.uniform(1, 5)

    taken = run_as_allowed(pace, disturbed, runs=2000)
    assert sum(taken[1000:]) / 1000 > 12


def test_a_size_that_was_slow_for_a_while_is_found_again() -> None:
    pace = Pace()
    run_as_allowed(pace, flat)
    slow = run_as_allowed(pace, lambda rows: 0.05 * rows, runs=300)
    assert sum(slow[-50:]) / 50 < 3
    assert run_as_allowed(pace, flat, runs=3000)[-1] == MOST_ROWS


def test_no_run_becomes_too_long_for_more_urgent_work() -> None:
    taken = run_as_allowed(Pace(), lambda rows: 0.05 + 0.005 * rows)
    assert taken[-1] == 32
    taken = run_as_allowed(Pace(), lambda rows: 0.3 + 0.03 * rows)
    assert max(taken) == 4


def test_two_long_calls_that_pay_together_may_take_as_long_as_two() -> None:
    taken = run_as_allowed(Pace(), lambda rows: 3 + rows)
    assert taken[-1] == 4


def test_a_size_that_failed_rests_and_is_tried_again() -> None:
    pace = Pace()
    run_as_allowed(pace, flat)
    pace.fail(8)
    assert pace.most_rows(2) == 4
    taken = run_as_allowed(pace, flat, runs=150)
    assert taken[:30] == [4] * 30
    assert taken[-1] == MOST_ROWS


def test_a_size_that_fails_again_rests_for_longer() -> None:
    pace = Pace()
    run_as_allowed(pace, flat, runs=3)
    rests = []
    for _ in range(3):
        pace.fail(4)
        rest = 0
        while pace.most_rows(2) == 2:
            pace.record(2, 0.01)
            rest += 1
        rests.append(rest)
    assert rests[0] >= 30
    assert rests[1] == 2 * rests[0]
    assert rests[2] == 4 * rests[0]


def test_a_call_with_more_rows_than_any_run_takes_still_runs() -> None:
    pace = Pace()
    assert run_as_allowed(pace, flat, rows=50)[-1] == 50
