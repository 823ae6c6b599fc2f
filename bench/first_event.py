"""From sending a submit to reading the first event of the job on the same socket, one job at a time."""

import socket
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from bench import servers
from bench.frames import END, client_frame, open_socket
from bench.load import JOB
from bench.measure import Goal, Measure, Round, compare, percentile

_GOAL: Final = 1.5
_SUBMIT: Final = client_frame(b'{"type":"submit","ref":"1","job":%s}' % JOB)
_FIRST_EVENT: Final = b'"type":"job.'
_RECEIVE_BYTES: Final = 1 << 16
_TURN: Final = 25


def run(*, quick: bool = False, jobs: int | None = None) -> list[Measure]:
    """Null jobs in turn at both servers; ours tells first that the job is queued, and by then it is stored."""
    jobs = jobs or (100 if quick else 300)
    rounds = []
    with (
        tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder,
        servers.playback(Path(folder)) as ours,
        servers.bare() as bare,
        open_socket(ours.port, "/v1/ws") as our_socket,
        open_socket(bare.port, "/ws", None) as bare_socket,
    ):
        for number in range((3 if quick else 7) + 1):
            ours_s: list[float] = []
            bare_s: list[float] = []
            for _ in range(0, jobs, _TURN):  # short turns: what disturbs the machine disturbs both
                ours_s += _latencies_s(our_socket, _TURN)
                bare_s += _latencies_s(bare_socket, _TURN)
            if number:  # the first round warms both up
                rounds.append((ours_s, bare_s))
    p50 = [Round(median(ours_s) * 1000, median(bare_s) * 1000) for ours_s, bare_s in rounds]
    p99 = [Round(percentile(ours_s, 0.99) * 1000, percentile(bare_s, 0.99) * 1000) for ours_s, bare_s in rounds]
    return [
        compare("submit to first event, p50", p50, unit="ms", against="bare Starlette", goal=Goal.AT_MOST, limit=_GOAL),
        compare("submit to first event, p99", p99, unit="ms", against="bare Starlette"),
    ]


def _latencies_s(opened: socket.socket, jobs: int) -> list[float]:
    latencies = []
    for _ in range(jobs):
        began_at = time.perf_counter()
        opened.sendall(_SUBMIT)
        told, first_s = b"", 0.0
        while END not in told:
            told += opened.recv(_RECEIVE_BYTES)
            if not first_s and _FIRST_EVENT in told:
                first_s = time.perf_counter() - began_at
        latencies.append(first_s)
    return latencies
