"""One measured thing: ours, the reference, their ratio, and what was hoped for."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Skipped(Exception):
    """A benchmark that cannot be run here; the message says why, for a person."""


class Goal(StrEnum):
    """Which side of its limit a ratio should be on."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A result.

    Attributes:
        name: what was measured, with its size.
        unit: of `ours` and `reference`.
        ours, reference: medians over the rounds.
        against: what the reference is.
        ratio: the median of the rounds' ratios, ours to the reference.
        goal, limit: None where the figure is for information.
        note: what else one must know to read it.
    """

    name: str
    unit: str
    ours: float
    reference: float
    against: str
    ratio: float
    goal: Goal | None = None
    limit: float = math.nan
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio <= self.limit if self.goal is Goal.AT_MOST else self.ratio >= self.limit


@dataclass(frozen=True, slots=True)
class Round:
    """One turn: the same thing measured on both, one right after the other."""

    ours: float
    reference: float

    @property
    def ratio(self) -> float:
        return self.ours / self.reference


def compare(
    name: str,
    rounds: Sequence[Round],
    *,
    unit: str,
    against: str,
    goal: Goal | None = None,
    limit: float = math.nan,
    note: str = "",
) -> Measure:
    """Medians over the rounds; with how far apart the rounds' ratios were, in the note."""
    ratios = [each.ratio for each in rounds]
    spread = f"{len(rounds)} rounds, ratios {min(ratios):.2f} to {max(ratios):.2f}"
    return Measure(
        name=name,
        unit=unit,
        ours=median(each.ours for each in rounds),
        reference=median(each.reference for each in rounds),
        against=against,
        ratio=median(ratios),
        goal=goal,
        limit=limit,
        note=f"{spread}; {note}" if note else spread,
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of them do not exceed.

    Raises:
        ValueError: there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("percentile: there are no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
