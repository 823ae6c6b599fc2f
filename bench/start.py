"""Process start to first healthy answer: ours as anybody starts it, against a bare Starlette server."""

import tempfile
import time
from pathlib import Path
from typing import Final

from bench import servers
from bench.measure import Goal, Measure, Round, compare
from bench.servers import free_port, wait_until_healthy
from bench.servers import run as run_server

_GOAL: Final = 1.5


def run(*, quick: bool = False, rounds: int | None = None) -> list[Measure]:
    """Starts in turn; the first pair, which may still read files from the disk, does not count."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder:
        for number in range((rounds or (4 if quick else 12)) + 1):
            port = free_port()
            ours_s = _seconds_to(servers.serve_arguments(port, Path(folder) / str(number)), port, "/v1/health/live")
            port = free_port()
            reference_s = _seconds_to(["bench.bare", str(port)], port, "/live")
            taken.append(Round(ours_s, reference_s))
    return [
        compare(
            "start to first healthy answer",
            taken[1:],
            unit="s",
            against="bare Starlette",
            goal=Goal.AT_MOST,
            limit=_GOAL,
        )
    ]


def _seconds_to(arguments: list[str], port: int, path: str) -> float:
    began_at = time.monotonic()
    with run_server(arguments, port) as server:
        wait_until_healthy(server, path)
        return time.monotonic() - began_at
