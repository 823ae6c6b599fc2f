"""Jobs per second, when a job is nothing to do: what accepting, storing, handing over and telling cost.

Ours stores four facts and an output of each job before it tells of them. The bare server does the same hand-over
(submit, executor thread, started, output, finished) and stores nothing.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Final

from bench import servers
from bench.backlog import Backlog
from bench.load import LOW_JOB, RestLoad, SocketLoad, rate
from bench.measure import Goal, Measure, Round, compare
from bench.servers import Server

_GOAL: Final = 0.9
_SOCKETS: Final = ("/v1/ws", "/ws")
_ROUTES: Final = ("/v1/jobs", "/jobs")
"""Ours and the bare server's."""


def run(*, quick: bool = False, seconds: float | None = None, backlog: int | None = None) -> list[Measure]:
    """Over one WebSocket and over REST, 16 and 64 jobs at once; then with a long queue behind them."""
    seconds = seconds or (0.7 if quick else 2.0)
    rounds = 3 if quick else 5
    backlog = backlog or (5_000 if quick else 100_000)
    measures = []
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as name:
        folder = Path(name)
        with servers.playback(folder / "empty") as ours:
            with servers.bare() as bare:
                for at_once in (16, 64):
                    measures += [_over_socket(ours, bare, at_once, seconds, rounds)]
                    measures += [_over_rest(ours, bare, at_once, seconds, rounds)]
            with servers.playback(folder / "full", folder) as full:
                taken = _behind(Backlog(full, folder), full, ours, backlog, seconds, rounds)
    measures.append(
        compare(
            f"null jobs, 16 in flight, {backlog} queued behind",
            taken,
            unit="jobs/s",
            against="empty queue",
            goal=Goal.AT_LEAST,
            limit=_GOAL,
        )
    )
    return measures


def _over_socket(ours: Server, bare: Server, at_once: int, seconds: float, rounds: int) -> Measure:
    our_path, bare_path = _SOCKETS
    taken = [
        Round(
            rate(SocketLoad(ours.port, our_path, at_once), seconds),
            rate(SocketLoad(bare.port, bare_path, at_once), seconds),
        )
        for _ in range(rounds + 1)
    ]
    return _compared(f"null jobs, one WebSocket, {at_once} in flight", taken)


def _over_rest(ours: Server, bare: Server, at_once: int, seconds: float, rounds: int) -> Measure:
    our_path, bare_path = _ROUTES
    taken = [
        Round(
            rate(RestLoad(ours.port, our_path, at_once), seconds),
            rate(RestLoad(bare.port, bare_path, at_once), seconds),
        )
        for _ in range(rounds + 1)
    ]
    return _compared(f"null jobs, REST, {at_once} in flight", taken)


def _compared(name: str, taken: list[Round]) -> Measure:
    # The first round warmed both up.
    return compare(name, taken[1:], unit="jobs/s", against="bare Starlette", goal=Goal.AT_LEAST, limit=_GOAL)


def _behind(waiting: Backlog, full: Server, empty: Server, backlog: int, seconds: float, rounds: int) -> list[Round]:
    """Rates of the server `full`, in which jobs of low priority wait, and of `empty`."""
    waiting.fill(backlog, LOW_JOB)
    taken = []
    for _ in range(rounds + 1):
        with contextlib.closing(SocketLoad(full.port, _SOCKETS[0], 16)) as load:
            load.begin()
            before = waiting.waiting()
            waiting.release()
            full_rate = load.rate(seconds)
            # Whenever none of ours stands in the queue for a moment, some of those behind are run: work as well.
            full_rate += max(0, before - waiting.waiting()) / seconds
            waiting.occupy()
        taken.append(Round(full_rate, rate(SocketLoad(empty.port, _SOCKETS[0], 16), seconds)))
    return taken[1:]
