"""What a job and an event cost in a cluster, beside the server that is everything in one. Rounds alternate."""

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import orjson

from bench.cluster_servers import Nats
from bench.frames import END, FrameCounter, client_frame, open_socket
from bench.keepalive import Keepalive
from bench.load import JOB, SocketLoad
from bench.measure import Measure, Round, compare, percentile
from bench.process import cpu_s

_AGAINST: Final = "one process"
_AT_ONCE: Final = 16
_STARTED: Final = b'"type":"job.started"'
_RECEIVE_BYTES: Final = 1 << 16
_STEP_MS: Final = 5
_OUTPUTS: Final = 64
_US: Final = 1e6


@dataclass(frozen=True, slots=True)
class Site:
    """Where jobs are sent to: a gateway, or the server that is everything.

    Attributes:
        pids: of our processes that do the work.
        nats: None where there is none.
    """

    port: int
    pids: Sequence[int]
    nats: Nats | None = None

    def spent(self) -> "Cpu":
        """Processor time so far."""
        return Cpu(sum(map(cpu_s, self.pids)), cpu_s(self.nats.pid) if self.nats is not None else 0.0)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor time in seconds, of ours and of NATS."""

    ours_s: float
    nats_s: float

    @property
    def all_s(self) -> float:
        return self.ours_s + self.nats_s

    def each(self, before: "Cpu", count: float, idle: "Cpu | None" = None, seconds: float = 0.0) -> "Cpu":
        """What one of `count` things has cost since `before`, less what is spent while nothing happens.

        Args:
            idle: spent in a second by nobody.
            seconds: that went by.
        """
        idle = idle or Cpu(0.0, 0.0)
        return Cpu(
            (self.ours_s - before.ours_s - idle.ours_s * seconds) / count,
            (self.nats_s - before.nats_s - idle.nats_s * seconds) / count,
        )


@dataclass(slots=True)
class _Figures:
    """Of one site, a value for each round."""

    ended_s: list[float] = field(default_factory=list)
    started_p50_s: list[float] = field(default_factory=list)
    started_p99_s: list[float] = field(default_factory=list)
    posted_p50_s: list[float] = field(default_factory=list)
    posted_p99_s: list[float] = field(default_factory=list)
    jobs_per_s: list[float] = field(default_factory=list)
    job: list[Cpu] = field(default_factory=list)
    hint: list[Cpu] = field(default_factory=list)
    output: list[Cpu] = field(default_factory=list)


def costs(ours: Site, embedded: Site, *, seconds: float, jobs: int, steps: int, rounds: int) -> list[Measure]:
    """Jobs one at a time and many at once, hints and outputs, at both in turn.

    Args:
        seconds: of each burst of jobs.
        jobs: of each round, one at a time.
        steps: of the job whose hints are counted.
    """
    figures = {id(site): _Figures() for site in (ours, embedded)}
    for _ in range(rounds + 1):
        for site in (ours, embedded):
            _round(site, figures[id(site)], seconds, jobs, steps)

    def compared(name: str, unit: str, of: Callable[[_Figures], Sequence[float]], note: str = "") -> Measure:
        pairs = zip(of(figures[id(ours)])[1:], of(figures[id(embedded)])[1:], strict=True)  # the first warmed them up
        return compare(name, [Round(*pair) for pair in pairs], unit=unit, against=_AGAINST, note=note)

    def times(name: str, of: Callable[[_Figures], Sequence[float]]) -> Measure:
        return compared(name, "ms", lambda found: [value * 1000 for value in of(found)])

    def cpu(name: str, of: Callable[[_Figures], Sequence[Cpu]]) -> list[Measure]:
        return [
            compared(f"{name}, CPU without NATS", "us", lambda found: [each.ours_s * _US for each in of(found)]),
            compared(f"{name}, CPU with NATS", "us", lambda found: [each.all_s * _US for each in of(found)]),
        ]

    return [
        times("null job, one at a time, submit to its end, p50", lambda found: found.ended_s),
        times("submit to job.started, idle worker, p50", lambda found: found.started_p50_s),
        times("submit to job.started, idle worker, p99", lambda found: found.started_p99_s),
        times("POST /v1/jobs answered, p50", lambda found: found.posted_p50_s),
        times("POST /v1/jobs answered, p99", lambda found: found.posted_p99_s),
        compared(f"null jobs, {_AT_ONCE} in flight", "jobs/s", lambda found: found.jobs_per_s),
        *cpu("null job", lambda found: found.job),
        *cpu("hint, one viewer", lambda found: found.hint),
        *cpu("output, one viewer", lambda found: found.output),
    ]


def _round(site: Site, figures: _Figures, seconds: float, jobs: int, steps: int) -> None:
    with open_socket(site.port, "/v1/ws") as opened:
        told = [told_of(opened, JOB) for _ in range(jobs)]
        figures.ended_s.append(median(each.ended_s for each in told))
        started = [each.started_s for each in told]
        figures.started_p50_s.append(median(started))
        figures.started_p99_s.append(percentile(started, 0.99))
        posted = _posted(site.port, jobs)
        figures.posted_p50_s.append(median(posted))
        figures.posted_p99_s.append(percentile(posted, 0.99))
        idle = idle_share(site, seconds)
        figures.hint.append(_events(site, opened, idle, {"steps": steps, "step_ms": _STEP_MS}))
        figures.output.append(_events(site, opened, idle, {"steps": 0, "images": _OUTPUTS}))
    rate, cpu = burst(site, seconds)
    figures.jobs_per_s.append(rate)
    figures.job.append(cpu)


@dataclass(frozen=True, slots=True)
class Told:
    """What a viewer heard of one job, and when; seconds from the submit on."""

    started_s: float
    ended_s: float
    frames: int


def told_of(opened: socket.socket, job: bytes) -> Told:
    """Submit a job over a socket, and read until its end."""
    counter, told, started_s = FrameCounter(), b"", 0.0
    began_at = time.perf_counter()
    opened.sendall(client_frame(b'{"type":"submit","ref":"1","job":%s}' % job))
    while True:
        received = opened.recv(_RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server closed the socket")
        now_s = time.perf_counter() - began_at
        counter.feed(received, len(received))
        told = told[-64:] + received
        if not started_s and _STARTED in told:
            started_s = now_s
        if END in told:
            return Told(started_s, now_s, counter.frames)


def burst(site: Site, seconds: float) -> tuple[float, Cpu]:
    """Null jobs with a number in flight: how many a second, and what one costs."""
    with contextlib.closing(SocketLoad(site.port, "/v1/ws", _AT_ONCE)) as load:
        load.begin()
        rate = 0.0
        while not rate:  # in a very short time on a busy machine none may end
            before, began_at = site.spent(), time.perf_counter()
            rate = load.rate(seconds)
            took_s = time.perf_counter() - began_at
        cpu = site.spent().each(before, rate * took_s)
        load.finish()
    return rate, cpu


def idle_share(site: Site, seconds: float) -> Cpu:
    """Spent in a second while nothing happens."""
    before, began_at = site.spent(), time.perf_counter()
    time.sleep(seconds)
    return site.spent().each(before, time.perf_counter() - began_at)


def _events(site: Site, opened: socket.socket, idle: Cpu, params: dict[str, int]) -> Cpu:
    """What each event of a job costs that has many of them."""
    job = {"task": "test_pattern", "params": {"width": 8, "height": 8, **params}, "previews": "none"}
    before = site.spent()
    told = told_of(opened, orjson.dumps(job))
    return site.spent().each(before, told.frames, idle, told.ended_s)


def _posted(port: int, jobs: int) -> list[float]:
    """How long it takes to have a job taken in, the one before having ended."""
    latencies = []
    with Keepalive(port) as client:
        for _ in range(jobs):
            began_at = time.perf_counter()
            answer = client.request("POST", "/v1/jobs", JOB)
            latencies.append(time.perf_counter() - began_at)
            client.request("GET", f"/v1/jobs/{orjson.loads(answer)['id']}?wait=20")
    return latencies
