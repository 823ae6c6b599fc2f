from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.clock import now, seconds_between, timestamp

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_timestamps_sort_like_the_moments_they_tell(first: datetime, second: datetime) -> None:
    if first <= second:
        assert timestamp(first) <= timestamp(second)
    assert len(timestamp(first)) == len(timestamp(second)) == len("2026-01-01T00:00:00.000Z")


@given(MOMENTS, st.integers(0, 10**8))
def test_the_seconds_between_two_timestamps_are_those_that_passed(moment: datetime, seconds: int) -> None:
    assert seconds_between(timestamp(moment), timestamp(moment, plus_s=seconds)) == pytest.approx(seconds, abs=0.002)


def test_a_clock_that_is_set_back_gives_no_negative_time() -> None:
    assert seconds_between("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:00.000Z") == 0.0


def test_a_moment_of_another_zone_is_told_in_utc() -> None:
    east = datetime(2026, 1, 1, 2, 0, 0, 5000, timezone(timedelta(hours=2)))
    assert timestamp(east) == "2026-01-01T00:00:00.005Z"


def test_now_is_utc() -> None:
    assert now().tzinfo is UTC
    assert timestamp() <= timestamp(plus_s=1)
