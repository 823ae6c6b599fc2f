"""One job watched by many, and the same bytes written by the bare TCP server: what fan-out and latency measure."""

import contextlib
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from bench import servers
from bench.keepalive import Keepalive
from bench.playback import gate
from bench.process import cpu_s
from bench.servers import Server
from bench.viewers import Seen, Viewers, viewers

STEPS: Final = 50
_LONGER_S: Final = 20.0
"""How much longer than its timetable a broadcast may take before the missing is missing."""


@dataclass(frozen=True, slots=True)
class Show:
    """One broadcast: what it cost the server, and what the viewers got."""

    cpu_s: float
    seen: Seen
    expected_events: int

    @property
    def cpu_per_event_us(self) -> float:
        return self.cpu_s / self.seen.events * 1e6

    @property
    def delivered(self) -> float:
        """Share of the events that arrived; hints are left out for a viewer that is behind."""
        return self.seen.events / self.expected_events


@dataclass(frozen=True, slots=True)
class Pair:
    """Ours and the reference, one right after the other."""

    ours: Show
    reference: Show


class Stage:
    """Both servers with their viewers, ready to play any number of times."""

    def __init__(self, ours: Server, raw: Server, our_viewers: Viewers, raw_viewers: Viewers, gates: Path) -> None:
        self._ours = ours
        self._raw = raw
        self._our_viewers = our_viewers
        self._raw_viewers = raw_viewers
        self._gates = gates
        self._numbers = itertools.count(1)

    def play(self, count: int, step_ms: int, steps: int) -> Pair:
        """`steps` steps and as many previews for `count` viewers, at both servers in turn."""
        return Pair(self._play_ours(count, step_ms, steps), self._play_raw(count, step_ms, steps))

    def _play_ours(self, count: int, step_ms: int, steps: int) -> Show:
        seed = next(self._numbers)
        params = {"steps": steps, "step_ms": step_ms, "seed": seed}
        job = {"task": "test_pattern", "params": params, "previews": "all"}
        with Keepalive(self._ours.port) as client:
            job_id = orjson.loads(client.request("POST", "/v1/jobs", orjson.dumps(job)))["id"]
        self._our_viewers.subscribe(job_id)
        self._our_viewers.begin(steps * step_ms / 1000 + _LONGER_S)
        before = cpu_s(self._ours.pid)
        gate(self._gates, seed).touch()
        seen = self._our_viewers.seen()
        return Show(cpu_s(self._ours.pid) - before, seen, count * (2 * steps + 1))

    def _play_raw(self, count: int, step_ms: int, steps: int) -> Show:
        stdin = self._raw.process.stdin
        assert stdin is not None
        self._raw_viewers.begin(steps * step_ms / 1000 + _LONGER_S)
        before = cpu_s(self._raw.pid)
        stdin.write(b"%d %d\n" % (steps, step_ms))
        stdin.flush()
        seen = self._raw_viewers.seen()
        return Show(cpu_s(self._raw.pid) - before, seen, count * (2 * steps + 1))


@contextlib.contextmanager
def stage(count: int) -> Iterator[Stage]:
    """Start both servers and connect `count` viewers to each."""
    with (
        tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder,
        servers.playback(Path(folder) / "data", Path(folder)) as ours,
        servers.raw_tcp() as raw,
        viewers(ours.port, count, path="/v1/ws") as our_viewers,
        viewers(raw.port, count, path=None) as raw_viewers,
    ):
        yield Stage(ours, raw, our_viewers, raw_viewers, Path(folder))


def note(pairs: Sequence[Pair]) -> str:
    """What the viewers missed, if anything, and how large an event was."""
    ours = min(pair.ours.delivered for pair in pairs)
    raw = min(pair.reference.delivered for pair in pairs)
    seen = pairs[-1].ours.seen
    size = seen.size_bytes / max(1, seen.previews) / 1000
    return f"delivered at least {ours:.1%} (raw {raw:.1%}); {size:.1f} kB a step"
