"""Time as it goes into rows and onto the wire: UTC, RFC 3339, milliseconds; sorts as text."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None, *, plus_s: float = 0.0) -> str:
    """`moment` (now, if not given), `plus_s` seconds later, as text of fixed width."""
    moment = (moment or now()) + timedelta(seconds=plus_s)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def later(at: str, seconds: float) -> str:
    """The timestamp so many seconds after another."""
    return timestamp(datetime.fromisoformat(at), plus_s=seconds)


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one timestamp to another; never below 0, for a clock may be set back."""
    return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())
