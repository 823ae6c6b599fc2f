"""Of `engine.hold`."""

import pytest

from engine.hold import DeviceHold


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_device_is_held_while_that_is_wanted(clock: Clock) -> None:
    hold = DeviceHold(10.0, clock)
    assert hold.wanted(True)
    clock.now_s += 9.0
    assert hold.wanted(True)
    assert hold.left_s == pytest.approx(1.0)
    assert not hold.wanted(False)
    assert hold.left_s is None


def test_no_hold_outlasts_its_credit(clock: Clock) -> None:
    hold = DeviceHold(10.0, clock)
    hold.wanted(True)
    clock.now_s += 10.0
    assert not hold.wanted(True)
    assert hold.left_s is None


def test_a_stream_of_edits_leaves_every_other_second_to_batch_work(clock: Clock) -> None:
    hold = DeviceHold(10.0, clock)
    held_s = 0.0
    for _ in range(4000):
        held_s += 0.25 * hold.wanted(True)
        clock.now_s += 0.25
    assert held_s == pytest.approx(1000 / 2 + 10.0 / 2, abs=1.0)


def test_credit_is_earned_back_to_the_whole_and_no_further(clock: Clock) -> None:
    hold = DeviceHold(10.0, clock)
    hold.wanted(True)
    clock.now_s += 10.0
    hold.wanted(False)
    clock.now_s += 4.0
    assert hold.wanted(True)
    assert hold.left_s == pytest.approx(4.0)
    hold.wanted(False)
    clock.now_s += 3600.0
    hold.wanted(True)
    assert hold.left_s == pytest.approx(10.0)
