"""What many machines cost and give: workers beside one, gateway and worker beside one process, and each part alone.

All of it runs on this machine, NATS too, so what several machines would do side by side happens in turn here.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import servers
from bench.cluster_cost import Site, costs
from bench.cluster_servers import gateway, nats, until_ready, worker
from bench.cluster_units import catching_up, members, stream_costs, watching_costs
from bench.measure import Measure
from bench.scaling import scaling

_CLUSTER: Final = "bench"


def run(
    *,
    quick: bool = False,
    counts: Sequence[int] = (1, 2, 4),
    seconds: float | None = None,
    jobs: int | None = None,
    steps: int | None = None,
    crowd: int = 100,
    rounds: int | None = None,
) -> list[Measure]:
    """Scaling, then the costs beside one process, then those of each part.

    Args:
        counts: of workers, 1 first.
        seconds: of each burst of jobs; three times that where workers are compared.
        jobs: one at a time, in each round.
        steps: of jobs that are watched.
        crowd: how many watch.

    Raises:
        Skipped: NATS is not installed.
    """
    seconds = seconds or (1.0 if quick else 3.0)
    jobs = jobs or (50 if quick else 200)
    steps = steps or (100 if quick else 300)
    rounds = rounds or (2 if quick else 5)
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as name, nats(Path(name)) as joined:
        measures = scaling(joined, counts=counts, seconds=3 * seconds, rounds=rounds)
        with (
            gateway(joined, _CLUSTER, "front") as front,
            worker(joined, _CLUSTER, "worker") as doing,
        ):
            until_ready(front, doing)
            ours = Site(front.port, [front.pid, doing.pid], joined)
            with servers.safelight(Path(name) / "embedded", {"SAFELIGHT_HEARTBEAT_S": "3600"}) as alone:
                embedded = Site(alone.port, [alone.pid])
                measures += costs(ours, embedded, seconds=seconds, jobs=jobs, steps=steps, rounds=rounds)
            with members(joined, _CLUSTER, front, doing) as made:
                measures += stream_costs(made, seconds=seconds, rounds=rounds)
                measures += watching_costs(made, crowd=crowd, steps=steps, rounds=rounds)
                measures += catching_up(made)
    return measures
