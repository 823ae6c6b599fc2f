from collections.abc import Callable

import pytest

from engine.rest import Rest


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass."""
    now = [100.0]
    monkeypatch.setattr("engine.rest.time.monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_a_look_is_due_four_times_in_the_idle_time_and_once_each_time(wait: Callable[[float], None]) -> None:
    rest = Rest(40.0)
    dues = []
    for _ in range(8):
        wait(5)
        dues += [rest.due_s(), rest.due_s()]
    assert dues == [None, None, 40.0, None] * 4


def test_a_wait_ends_when_a_look_is_due_if_nothing_ends_it_before(wait: Callable[[float], None]) -> None:
    rest = Rest(40.0)
    assert (rest.sooner(None), rest.sooner(3.0), rest.sooner(30.0)) == (10.0, 3.0, 10.0)
    wait(25)
    assert rest.sooner(None) == 0.0


def test_without_an_idle_time_nothing_is_ever_due(wait: Callable[[float], None]) -> None:
    rest = Rest(None)
    wait(1e9)
    assert (rest.is_due, rest.due_s(), rest.sooner(None), rest.sooner(2.0)) == (False, None, None, 2.0)
