"""How long a poll takes at its slowest with a million stored jobs, against a server that has stored next to none."""

import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import servers
from bench.keepalive import Keepalive
from bench.measure import Goal, Measure, Round, compare, percentile
from bench.stored_jobs import job_ids, store_jobs

_GOAL: Final = 1.5
_FEW: Final = 1000
_ASKED: Final = 20_000
"""Ids to choose from."""
_BYTES_PER_JOB: Final = 2500
_TURN: Final = 25
_PATHS: Final = (("job", "/v1/jobs/{}"), ("events", "/v1/jobs/{}/events?after=0"))


def run(*, quick: bool = False, count: int | None = None, polls: int | None = None) -> list[Measure]:
    """Random jobs, one request at a time over a kept connection, in turn at both servers.

    Raises:
        OSError: there is no room on the disk for the database.
    """
    count = count or (100_000 if quick else 1_000_000)
    polls = polls or (300 if quick else 1000)
    rounds = 4 if quick else 8
    lots = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as name:
        full, few = Path(name) / "full", Path(name) / "few"
        if shutil.disk_usage(name).free < count * _BYTES_PER_JOB:
            raise OSError(f"{name}: {count} jobs need {count * _BYTES_PER_JOB / 1e9:.1f} GB")
        store_jobs(full, count)
        store_jobs(few, min(_FEW, count))
        full_ids, few_ids = job_ids(full, max(1, count // _ASKED)), job_ids(few, 1)
        measures = []
        with servers.safelight(full) as ours, servers.safelight(few) as reference:
            for what, path in _PATHS:
                pairs = [
                    _in_turns(
                        (ours.port, lots.choices(full_ids, k=polls)),
                        (reference.port, lots.choices(few_ids, k=polls)),
                        path,
                    )
                    for _ in range(rounds + 1)
                ][1:]
                measures += [_compared(f"poll of {what}", share, pairs, count) for share in (0.5, 0.99)]
    return measures


def _compared(name: str, share: float, pairs: Sequence[tuple[list[float], list[float]]], count: int) -> Measure:
    return compare(
        f"{name}, p{share * 100:g}, {count} jobs stored",
        [Round(percentile(full, share) * 1000, percentile(few, share) * 1000) for full, few in pairs],
        unit="ms",
        against=f"{min(_FEW, count)} stored",
        goal=Goal.AT_MOST if share > 0.5 else None,
        limit=_GOAL,
    )


def _in_turns(
    full: tuple[int, Sequence[str]], few: tuple[int, Sequence[str]], path: str
) -> tuple[list[float], list[float]]:
    """Latencies at both ports in seconds. In short turns, so that what disturbs the machine disturbs both."""
    full_s: list[float] = []
    few_s: list[float] = []
    with Keepalive(full[0]) as full_client, Keepalive(few[0]) as few_client:
        for begin in range(0, len(full[1]), _TURN):
            full_s += _latencies_s(full_client, path, full[1][begin : begin + _TURN])
            few_s += _latencies_s(few_client, path, few[1][begin : begin + _TURN])
    return full_s, few_s


def _latencies_s(client: Keepalive, path: str, ids: Sequence[str]) -> list[float]:
    latencies = []
    for job_id in ids:
        began_at = time.perf_counter()
        client.request("GET", path.format(job_id))
        latencies.append(time.perf_counter() - began_at)
    return latencies
