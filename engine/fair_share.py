"""Whose live jobs have had the device least: fair share among keys, between calls.

Admission is fair in which job becomes live; a long job would still keep the device from the short one of another key
that is live beside it. So each share (a key) has a clock of device seconds, and the one furthest behind goes first.

Source: start-time fair queueing (Goyal, Vin and Cheng 1996), as in `service.admission`, here by measured seconds.
"""


class FairShare:
    """The clocks of the shares that have live jobs. For the executor thread."""

    def __init__(self) -> None:
        self._clock_s: dict[str, float] = {}
        self._live: dict[str, int] = {}

    def enter(self, share: str) -> None:
        """A job of this share became live. A share that comes back has neither saved up nor is it made to wait."""
        if share not in self._live:
            self._clock_s[share] = min((self._clock_s[other] for other in self._live), default=0.0)
            self._live[share] = 0
        self._live[share] += 1

    def leave(self, share: str) -> None:
        """A job of this share is no longer live."""
        self._live[share] -= 1
        if not self._live[share]:
            del self._live[share], self._clock_s[share]

    def spent(self, share: str, seconds: float) -> None:
        """A job of this share had the device for so long."""
        if share in self._clock_s:
            self._clock_s[share] += seconds

    def clock_s(self, share: str) -> float:
        """Device seconds this share has had; the smallest goes first."""
        return self._clock_s[share]
