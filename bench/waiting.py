"""How long `GET /ping` takes at its slowest while many clients wait for their pictures: against the same server, idle.

Half of the clients wait in a blocking call of Fooocus-API, half read a stream of FooocusAPI. The fake engine's steps
are slow, so that nearly all wait; whoever is answered asks again.
"""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Final

import orjson

from bench import servers
from bench.crowd import Crowd, crowd
from bench.keepalive import Keepalive
from bench.measure import Goal, Measure, Round, compare, percentile
from bench.process import cpu_s
from bench.servers import Server

_GOAL: Final = 2.0
_STEP_S: Final = 0.05
_PAUSE_S: Final = (0.002, 0.008)
"""Between two pings, by chance: what the server does at regular times is met like everything else."""
_PING_PATH: Final = "/ping"
_JOBS_PATH: Final = "/v1/generation/job-queue"
_TASKS_PATH: Final = "/tasks?query=all&page_size=1000"
_LOOK_AGAIN_S: Final = 0.05
_SETTLE_S: Final = 0.3
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class _Pinged:
    """Latencies in seconds, and how much of a core the server took meanwhile."""

    latencies_s: list[float] = field(default_factory=list)
    share: float = 0.0


def run(*, quick: bool = False, clients: int = 200, pings: int | None = None, step_s: float = _STEP_S) -> list[Measure]:
    """Rounds alternate: idle, then with `clients` of each kind.

    Args:
        step_s: how long a step of the engine takes; four make a picture.
    """
    pings = pings or (1000 if quick else 2000)
    lots = random.Random(1)
    idle, busy = [], []
    with (
        tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder,
        servers.safelight(Path(folder), {"SAFELIGHT_FAKE_STEP_S": str(step_s)}) as server,
        crowd(server.port, clients) as waiting,
    ):
        for _ in range((3 if quick else 7) + 1):
            idle.append(_pinged(server, pings, lots))
            with _present(server, waiting, clients):
                busy.append(_pinged(server, pings, lots))
    shares = f"the server took {mean(each.share for each in busy[1:]):.0%} of a core"
    name = f"ping, {clients} waiting calls and {clients} streams"
    # The first round warms up.
    return [_compared(f"{name}, p{share * 100:g}", share, busy[1:], idle[1:], shares) for share in (0.5, 0.99)]


def _compared(name: str, share: float, busy: Sequence[_Pinged], idle: Sequence[_Pinged], note: str) -> Measure:
    return compare(
        name,
        [
            Round(percentile(with_them.latencies_s, share) * 1000, percentile(without.latencies_s, share) * 1000)
            for with_them, without in zip(busy, idle, strict=True)
        ],
        unit="ms",
        against="idle",
        goal=Goal.AT_MOST if share > 0.5 else None,
        limit=_GOAL,
        note=note,
    )


@contextlib.contextmanager
def _present(server: Server, waiting: Crowd, clients: int) -> Iterator[None]:
    """Everybody waits while the block lasts; then all hang up, and their jobs end."""
    waiting.come()
    _wait_until(server, lambda jobs: jobs >= 2 * clients)
    yield
    waiting.leave()
    _wait_until(server, lambda jobs: jobs == 0)


def _wait_until(server: Server, is_true: Callable[[int], bool]) -> None:
    """Wait for a number of jobs that have not ended, and a little more."""
    deadline = time.monotonic() + _PATIENCE_S
    with Keepalive(server.port) as client:
        while not is_true(_unfinished(client)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {_PATIENCE_S:g} s {_unfinished(client)} jobs wait or run")
            time.sleep(_LOOK_AGAIN_S)
    time.sleep(_SETTLE_S)


def _unfinished(client: Keepalive) -> int:
    jobs: int = orjson.loads(client.request("GET", _JOBS_PATH))["running_size"]
    tasks = orjson.loads(client.request("GET", _TASKS_PATH))
    return jobs + len(tasks["pending"]) + len(tasks["current"])


def _pinged(server: Server, pings: int, lots: random.Random) -> _Pinged:
    """One ping at a time. Each that was held up by the one before counts from when it was due."""
    pinged = _Pinged()
    began_at, cpu_before_s = time.perf_counter(), cpu_s(server.pid)
    with Keepalive(server.port) as client:
        due_at = time.perf_counter()
        for _ in range(pings):
            due_at += lots.uniform(*_PAUSE_S)
            left_s = due_at - time.perf_counter()
            if left_s > 0:
                time.sleep(left_s)
                due_at = time.perf_counter()
            client.request("GET", _PING_PATH)
            pinged.latencies_s.append(time.perf_counter() - due_at)
    pinged.share = (cpu_s(server.pid) - cpu_before_s) / (time.perf_counter() - began_at)
    return pinged
