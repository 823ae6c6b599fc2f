"""Jobs a second of one, two and four workers whose engine does nothing but wait, each set a cluster of its own."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from bench.cluster_servers import Nats, gateway, until_ready, worker
from bench.load import SocketLoad, rate
from bench.measure import Goal, Measure, Round, compare
from bench.servers import Server

_GOALS: Final = {2: 1.9, 4: 3.8}
_STEP_S: Final = 0.025
_STEPS: Final = 4
_JOB: Final = b'{"task":"test_pattern","params":{"width":8,"height":8,"steps":%d},"previews":"none"}' % _STEPS
_AT_ONCE: Final = 16
"""Jobs in flight for each worker: it holds eight, and as many wait."""


def scaling(joined: Nats, *, counts: Sequence[int], seconds: float, rounds: int) -> list[Measure]:
    """Rounds alternate between the clusters, each of one gateway; all of them stand there from the beginning."""
    with contextlib.ExitStack() as stack:
        gateways = {count: stack.enter_context(_cluster(joined, count)) for count in counts}
        rates: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(rounds + 1):
            for count, server in gateways.items():
                rates[count].append(rate(SocketLoad(server.port, "/v1/ws", _AT_ONCE * count, _JOB), seconds))
    one = rates[counts[0]][1:]  # the first round warmed them up
    return [
        compare(
            f"jobs of {_STEPS * _STEP_S * 1000:g} ms, {count} workers",
            [Round(*pair) for pair in zip(rates[count][1:], one, strict=True)],
            unit="jobs/s",
            against="one worker",
            goal=Goal.AT_LEAST,
            limit=_GOALS[count],
            note=f"one worker's device allows {1 / (_STEPS * _STEP_S):g}; {_AT_ONCE} in flight for each",
        )
        for count in counts[1:]
    ]


@contextlib.contextmanager
def _cluster(joined: Nats, count: int) -> Iterator[Server]:
    name = f"of-{count}"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(gateway(joined, name, "gateway"))
        until_ready(
            server,
            *(stack.enter_context(worker(joined, name, f"worker-{number}", _STEP_S)) for number in range(count)),
        )
        yield server
