import pytest

from safelight.backoff import FIRST_DELAY_S, LONGEST_DELAY_S, Backoff


def test_delays_grow_from_failure_to_failure_up_to_a_limit() -> None:
    backoff = Backoff(None)
    bounds = []
    for failures in range(12):
        backoff.failed()
        bound = min(FIRST_DELAY_S * 2**failures, LONGEST_DELAY_S)
        assert bound / 2 <= backoff.delay_s() <= bound
        bounds.append(bound)
    assert bounds[-1] == LONGEST_DELAY_S


def test_success_begins_anew() -> None:
    backoff = Backoff(None)
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    backoff.failed()
    assert backoff.delay_s() <= FIRST_DELAY_S


def test_patience_counts_from_the_first_failure_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("safelight.backoff.time.monotonic", lambda: now)
    backoff = Backoff(10.0)
    assert not backoff.is_exhausted
    backoff.failed()
    now = 109.0
    backoff.failed()
    assert not backoff.is_exhausted
    now = 110.0
    assert backoff.is_exhausted
    backoff.succeeded()
    assert not backoff.is_exhausted
