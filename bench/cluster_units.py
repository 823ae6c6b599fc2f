"""What single things cost in a cluster, each process by itself: the unit costs of docs/capacity.md."""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import orjson

from bench.cluster_cost import Site, burst, idle_share
from bench.cluster_servers import Nats, Traffic, gateway, until_ready
from bench.keepalive import Keepalive
from bench.measure import Measure, Round, compare
from bench.process import cpu_s
from bench.servers import Server
from bench.viewers import Viewers, viewers
from service.cluster.names import Names
from service.migrations import DATABASE_NAME

_FACTS: Final = 4
"""Of a null job: queued, started, output, succeeded."""
_STEP_MS: Final = 20
_FAST_MS: Final = 2
_LONGER_S: Final = 30.0
_US: Final = 1e6
_LEAST: Final = 1e-3
_NOTICED_S: Final = 0.1
"""A start takes now more, now less, by about so much."""
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Members:
    """A cluster of two gateways and a worker.

    Attributes:
        cluster: its name.
        front: the gateway that everybody goes to.
        other: the one that nobody asks anything.
    """

    joined: Nats
    cluster: str
    front: Server
    other: Server
    worker: Server

    def stream(self) -> tuple[int, int]:
        """Messages and bytes of its facts."""
        return self.joined.stream(Names(self.cluster).facts_stream)

    def spent(self) -> "_Spent":
        return _Spent(cpu_s(self.front.pid), cpu_s(self.other.pid), cpu_s(self.joined.pid), self.joined.traffic())


@dataclass(frozen=True, slots=True)
class _Spent:
    front_s: float
    other_s: float
    nats_s: float
    traffic: Traffic


@contextlib.contextmanager
def members(joined: Nats, cluster: str, front: Server, worker: Server) -> Iterator[Members]:
    """Add a gateway that nobody asks to one that is there."""
    with gateway(joined, cluster, _OTHER) as other:
        until_ready(other)
        yield Members(joined, cluster, front, other, worker)


def stream_costs(members: Members, *, seconds: float, rounds: int) -> list[Measure]:
    """Bursts of null jobs at one gateway, while the other one takes in the facts."""
    site = Site(members.front.port, [members.front.pid, members.worker.pid])
    projected, taken, at_nats, bytes_in, bytes_out = [], [], [], [], []
    for _ in range(rounds + 1):
        quiet = idle_share(Site(members.other.port, [members.other.pid], members.joined), seconds)
        before, (facts_before, _), began_at = members.spent(), members.stream(), time.perf_counter()
        burst(site, seconds)
        took_s, after, (facts_after, _) = time.perf_counter() - began_at, members.spent(), members.stream()
        jobs = (facts_after - facts_before) / _FACTS
        projected.append((after.other_s - before.other_s - quiet.ours_s * took_s) / jobs / _FACTS * _US)
        taken.append((after.front_s - before.front_s - quiet.ours_s * took_s) / jobs * _US)
        at_nats.append((after.nats_s - before.nats_s - quiet.nats_s * took_s) / jobs * _US)
        moved = after.traffic - before.traffic
        bytes_in.append(moved.in_bytes / jobs)
        bytes_out.append(moved.out_bytes / jobs)
    messages, size_bytes = members.stream()
    return [
        _beside("gateway, CPU of a null job it takes in", "us", taken, at_nats, "NATS"),
        _beside("fact taken in by a gateway nobody asks, CPU", "us", projected, [each / _FACTS for each in at_nats],
                "NATS, a fact"),
        _beside("NATS, bytes of a null job to two gateways", "bytes", bytes_out, bytes_in, "from all",
                f"a fact is {size_bytes / messages:.0f} bytes in the stream"),
    ]  # fmt: skip


def watching_costs(members: Members, *, crowd: int, steps: int, rounds: int) -> list[Measure]:
    """A job that one watches, and then many do; the other gateway tells what it costs when nobody does."""
    pace = f"'once' and NATS: at most {1000 // _FAST_MS} events a second; 'each': {1000 // _STEP_MS}"
    once, each, at_nats = [], [], []
    port = members.front.port
    with viewers(port, 1, path="/v1/ws") as one, viewers(port, crowd, path="/v1/ws") as many:
        for _ in range(rounds + 1):
            quiet = idle_share(Site(members.other.port, [members.other.pid], members.joined), 1.0)
            alone, events = _watched(members, one, steps, _STEP_MS)
            crowded, all_events = _watched(members, many, steps, _STEP_MS)
            there_were = all_events / crowd  # each of them has heard every event
            each.append((crowded.front_s / there_were - alone.front_s / events) / (crowd - 1) * _US)
            # One by one, a gateway is woken for each; where there is much to tell they come several at a time.
            fast, events = _watched(members, one, steps * (_STEP_MS // _FAST_MS), _FAST_MS)
            once.append((fast.front_s - fast.other_s) / events * _US)
            at_nats.append((fast.nats_s - quiet.nats_s * fast.took_s) / events * _US)
    return [
        _beside(f"gateway, CPU of an event for each of {crowd}", "us", each, once, "once, if watched", pace),
        _beside("NATS, CPU of a hint to one gateway", "us", at_nats, once, "the gateway", pace),
    ]


def catching_up(members: Members) -> list[Measure]:
    """A gateway that was never there, from its start until it is ready: without facts, with all, with a snapshot."""
    joined, cluster = members.joined, members.cluster
    facts, _ = members.stream()
    empty = _started(joined, "empty", "gateway")
    whole = _started(joined, cluster, "late")
    _write_snapshot(members)
    copied = _started(joined, cluster, "later")
    measures = []
    for name, found in (("from the stream", whole), ("from a snapshot", copied)):
        seconds, cpu = max(found.took_s - empty.took_s, 1e-9), max(found.cpu_s - empty.cpu_s, 0.0)
        speed = f"{facts / seconds:.0f} facts/s" if found.took_s - empty.took_s > _NOTICED_S else "too fast to tell"
        measures.append(
            _beside(f"new gateway ready, {facts} facts {name}", "s", [found.took_s], [empty.took_s], "no facts",
                    f"{speed}, {cpu / facts * _US:.0f} us CPU of a fact", warm_up=False)
        )  # fmt: skip
    return measures


@dataclass(frozen=True, slots=True)
class _Start:
    took_s: float
    cpu_s: float


def _started(joined: Nats, cluster: str, name: str) -> _Start:
    began_at = time.perf_counter()
    with gateway(joined, cluster, name) as server:
        until_ready(server)
        return _Start(time.perf_counter() - began_at, cpu_s(server.pid))


def _write_snapshot(members: Members) -> None:
    """As the gateway that leads does from time to time."""
    source = members.joined.folder / members.cluster / _OTHER / DATABASE_NAME
    target = members.joined.folder / "snapshot.db"
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy)
        meta = dict(copy.execute("SELECT name, value FROM meta"))
    place = members.joined.folder / "objects" / "snapshots" / meta["database_id"]
    place.mkdir(parents=True, exist_ok=True)
    target.rename(place / f"{int(meta['position']):020}.db")


@dataclass(frozen=True, slots=True)
class _Watched:
    front_s: float
    other_s: float
    nats_s: float
    took_s: float


def _watched(members: Members, watching: Viewers, steps: int, step_ms: int) -> tuple[_Watched, int]:
    """Run a job that all of `watching` watch; what it cost, and how many events they heard together."""
    job = {"task": "test_pattern", "params": {"steps": steps, "step_ms": step_ms}, "previews": "none"}
    members.worker.process.send_signal(signal.SIGSTOP)  # nothing is to happen before all of them watch
    try:
        with Keepalive(members.front.port) as client:
            job_id = orjson.loads(client.request("POST", "/v1/jobs", orjson.dumps(job)))["id"]
        watching.subscribe(job_id)
        watching.begin(steps * step_ms / 1000 + _LONGER_S)
        before, began_at = members.spent(), time.perf_counter()
    finally:
        members.worker.process.send_signal(signal.SIGCONT)
    seen = watching.seen()
    after = members.spent()
    spent = _Watched(
        after.front_s - before.front_s,
        after.other_s - before.other_s,
        after.nats_s - before.nats_s,
        time.perf_counter() - began_at,
    )
    return spent, seen.events


def _beside(
    name: str,
    unit: str,
    ours: Sequence[float],
    reference: Sequence[float],
    against: str,
    note: str = "",
    *,
    warm_up: bool = True,
) -> Measure:
    """Two figures of one thing, side by side; the first round warmed all up."""
    pairs = list(zip(ours, reference, strict=True))[1 if warm_up else 0 :]
    # What is next to nothing may come out below it, on a machine that others use too.
    rounds = [Round(max(one, _LEAST), max(other, _LEAST)) for one, other in pairs]
    return compare(name, rounds, unit=unit, against=against, note=note)
