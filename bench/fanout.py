"""Server CPU per delivered event: one job watched by many, against a bare asyncio TCP broadcast of the same bytes."""

from collections.abc import Sequence
from typing import Final

from bench.broadcast import STEPS, note, stage
from bench.measure import Goal, Measure, Round, compare

_GOAL: Final = 1.2
_SIZES: Final = ((100, 20), (1000, 100))
"""Viewers, and milliseconds a step: slow enough that every viewer gets everything."""
_WARM_UP_STEPS: Final = 5


def run(*, quick: bool = False, sizes: Sequence[tuple[int, int]] = _SIZES, steps: int = STEPS) -> list[Measure]:
    """A step and a preview of 20 kB, `steps` times, for every size of audience."""
    measures = []
    for count, step_ms in sizes:
        rounds = 2 if quick else 5 if count <= 100 else 4
        with stage(count) as show:
            show.play(count, step_ms, _WARM_UP_STEPS)
            pairs = [show.play(count, step_ms, steps) for _ in range(rounds)]
        measures.append(
            compare(
                f"fan-out, CPU per event, {count} viewers",
                [Round(pair.ours.cpu_per_event_us, pair.reference.cpu_per_event_us) for pair in pairs],
                unit="us",
                against="raw TCP",
                goal=Goal.AT_MOST,
                limit=_GOAL,
                note=note(pairs),
            )
        )
    return measures
