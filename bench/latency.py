"""How long a preview is on its way at a steady pace, at its slowest: against a bare asyncio TCP broadcast."""

from typing import Final

from bench.broadcast import STEPS, note, stage
from bench.measure import Goal, Measure, Round, compare, percentile

_GOAL: Final = 1.5
_STEP_MS: Final = 100
_WARM_UP_STEPS: Final = 5


def run(*, quick: bool = False, count: int = 1000, steps: int = STEPS) -> list[Measure]:
    """Ten steps a second; from the executor's telling of a preview to its last byte's being read by a viewer."""
    with stage(count) as show:
        show.play(count, _STEP_MS, _WARM_UP_STEPS)
        pairs = [show.play(count, _STEP_MS, steps) for _ in range(2 if quick else 4)]
    measures = []
    for name, share, goal in (("p50", 0.5, None), ("p99", 0.99, Goal.AT_MOST)):
        rounds = [
            Round(
                percentile(pair.ours.seen.delays_s, share) * 1000,
                percentile(pair.reference.seen.delays_s, share) * 1000,
            )
            for pair in pairs
        ]
        measures.append(
            compare(
                f"preview on its way, {name}, {count} viewers, 10 steps/s",
                rounds,
                unit="ms",
                against="raw TCP",
                goal=goal,
                limit=_GOAL,
                note=note(pairs),
            )
        )
    return measures
