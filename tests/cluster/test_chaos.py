"""Whatever is killed, frozen and started again: each accepted job has one end, and every viewer is told each fact once.

Real processes. What happens next is drawn with a seed, which is printed; `SAFELIGHT_CHAOS_SEED` repeats a run.
"""

import asyncio
import hashlib
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from service.cluster.connection import connect
from service.cluster.fact_writer import FactWriter
from service.cluster.names import Names
from tests.cluster.watching import (
    PATIENCE_S,
    ClientViewer,
    JobViewer,
    MineViewer,
    SocketViewer,
    StreamViewer,
    Told,
    until,
)
from tests.clusters import Cluster, Member, frozen
from tests.integration.viewers import TERMINAL_TYPES, Message, inline, png
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio
NOT_ACCEPTED = "it was not accepted"
"""Begins the reason of a job whose submit was answered with an error, and that was stored after all."""
SUBMITTERS = 4


class Blow(NamedTuple):
    """What is done to whom."""

    kind: str
    times: int


SMALL = (Blow("kill a worker", 1), Blow("kill a gateway", 1), Blow("kill nats", 1), Blow("freeze a worker", 1))
FULL = (
    Blow("kill a worker", 6),
    Blow("kill a gateway", 4),
    Blow("kill nats", 3),
    Blow("freeze a worker", 2),
    Blow("stop a worker", 2),
    Blow("stop a gateway", 1),
    Blow("freeze a gateway", 1),
    Blow("kill a worker and nats", 2),
)


class World:
    """The cluster, its clients and what they know."""

    def __init__(self, cluster: Cluster, lots: random.Random, *, jobs: int, viewers: int) -> None:
        self.cluster = cluster
        self.lots = lots
        self.http = httpx.AsyncClient(trust_env=False, timeout=2 * DEADLINE_S)
        self.bodies = [body_of(number, lots) for number in range(jobs)]
        self.accepted: dict[str, str] = {}
        """Idempotency key -> the id that every answer to it named."""
        self.refused = 0
        self.is_disturbed = True
        """More blows are to come."""
        self.numbers = iter(range(jobs))
        """Of the jobs not submitted yet."""
        self.allowed = 0
        """So many may be submitted now: there is to be work at each blow."""
        self.mine: list[MineViewer] = [
            self._viewer(MineViewer, f"mine {n}", wanted=self.accepted.values) for n in range(viewers // 4)
        ]
        kinds = cycle([SocketViewer, StreamViewer, ClientViewer])
        self.of_jobs: list[JobViewer] = [
            self._viewer(next(kinds), f"jobs {n}", next_job=self._any_job) for n in range(viewers - viewers // 4)
        ]

    @property
    def told(self) -> Told:
        """What one who watches everything has been told by now."""
        every = [viewer.told for viewer in self.mine]
        return max(every, key=lambda told: len(told.ended))

    @property
    def ended(self) -> set[str]:
        return set().union(*(viewer.told.ended for viewer in self.mine))

    @property
    def all_ended(self) -> bool:
        return len(self.accepted) == len(self.bodies) and self.ended >= set(self.accepted.values())

    def is_over(self) -> bool:
        return self.all_ended and not self.is_disturbed

    def running_at(self, worker: Member) -> set[str]:
        """The jobs that a worker is at, as far as is told."""
        found = set()
        for job_id, facts in self.told.facts.items():
            starts = [fact for fact in facts if fact["type"] in {"job.started", "job.requeued"}]
            if job_id not in self.ended and starts and starts[-1]["data"].get("worker", "").startswith(worker.name):
                found.add(job_id)
        return found

    def _viewer(self, kind: Callable[..., Any], name: str, **options: Any) -> Any:
        return kind(name, self.cluster.gateways, random.Random(self.lots.random()), is_over=self.is_over, **options)

    def _any_job(self) -> str | None:
        return self.lots.choice([*self.accepted.values()]) if self.accepted else None

    # ---- submitting ------------------------------------------------------------------------------------------

    async def submit(self, number: int) -> str:
        """Submit a job as a client does that wants it once: with one key, until it is accepted."""
        key = f"chaos-{number}"
        async with asyncio.timeout(2 * PATIENCE_S):
            while True:
                gateway = await self._any_gateway()
                try:
                    answer = await self.http.post(
                        f"{gateway.url}/v1/jobs", json=self.bodies[number], headers={"Idempotency-Key": key}
                    )
                except httpx.TransportError:
                    continue
                if answer.status_code == 503:
                    assert int(answer.headers["Retry-After"]) >= 1
                    self.refused += 1
                    await until(lambda: self.cluster.nats.is_running, "NATS")
                    continue
                assert answer.status_code in {200, 202}, answer.text
                job_id: str = answer.json()["id"]
                assert self.accepted.setdefault(key, job_id) == job_id
                return job_id

    async def submit_all(self) -> None:
        async def submit_some() -> None:
            for number in self.numbers:
                await until(lambda: len(self.accepted) < self.allowed, "it to be time", within_s=3 * PATIENCE_S)
                job_id = await self.submit(number)
                if self.lots.random() < 0.1:
                    await self._cancel(job_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(SUBMITTERS):
                group.create_task(submit_some())

    async def _cancel(self, job_id: str) -> None:
        gateway = await self._any_gateway()
        with suppress(httpx.TransportError):
            answer = await self.http.delete(f"{gateway.url}/v1/jobs/{job_id}")
            assert answer.status_code in {202, 404, 409, 503}, answer.text

    async def _any_gateway(self) -> Member:
        await until(lambda: any(gateway.is_running for gateway in self.cluster.gateways), "a gateway")
        return self.lots.choice([gateway for gateway in self.cluster.gateways if gateway.is_running])

    # ---- blows -----------------------------------------------------------------------------------------------

    async def disturb(self, blows: tuple[Blow, ...]) -> None:
        kinds = [blow.kind for blow in blows for _ in range(blow.times)]
        self.lots.shuffle(kinds)
        share = len(self.bodies) / len(kinds)
        for number, kind in enumerate(kinds):
            self.allowed = round(share * (number + 1))
            await self._progress(to=round(share * (number + 0.3)))
            sys.stdout.write(f"{len(self.ended)} of {len(self.accepted)} jobs have ended: {kind}\n")
            match kind:
                case "kill a worker" | "stop a worker":
                    worker = self.lots.choice(self.cluster.workers)
                    await self._end(worker, kind)
                    await self._progress(by=3)
                    await asyncio.to_thread(worker.start, empty=self.lots.random() < 0.5)
                case "kill a gateway" | "stop a gateway":
                    gateway = self.lots.choice(self.cluster.gateways)
                    await self._end(gateway, kind)
                    await self._progress(by=3)
                    await asyncio.to_thread(gateway.start, empty=self.lots.random() < 0.5)
                case "kill nats":
                    await self._nats_away()
                case "kill a worker and nats":
                    worker = self.lots.choice(self.cluster.workers)
                    worker.kill()
                    await self._nats_away()
                    await self._progress(by=3)
                    await asyncio.to_thread(worker.start)
                case "freeze a gateway":
                    gateway = self.lots.choice(self.cluster.gateways)
                    with frozen(gateway):
                        await self._progress(by=3)
                case "freeze a worker":
                    await self._freeze()
        self.is_disturbed = False
        self.allowed = len(self.bodies) + SUBMITTERS

    async def _end(self, member: Member, kind: str) -> None:
        if kind.startswith("kill"):
            member.kill()
        else:
            assert await asyncio.to_thread(member.stop) in {0, -15}

    async def _nats_away(self) -> None:
        """Kill NATS, and start it when a client has been told so."""
        self.cluster.nats.kill()
        refused = self.refused
        async with asyncio.TaskGroup() as group:
            submit = group.create_task(self.submit(next(self.numbers, 0)))
            await until(lambda: self.refused > refused or submit.done(), "a submit to be refused")
            await self.cluster.nats.start_beside()

    async def _freeze(self) -> None:
        """Let a worker hang in the middle of its jobs, until others have done them."""
        with suppress(AssertionError):  # there may be no more jobs to come
            await until(lambda: any(map(self.running_at, self.cluster.workers)), "jobs to run", within_s=DEADLINE_S)
        worker = max(self.cluster.workers, key=lambda worker: len(self.running_at(worker)))
        worker.freeze()
        try:
            jobs = self.running_at(worker)
            self.allowed += len(jobs)
            await until(lambda: jobs <= self.ended, f"others to do the {len(jobs)} jobs of {worker.name}")
        finally:
            worker.thaw()

    async def _progress(self, *, to: int = 0, by: int = 0) -> None:
        """Wait until so many jobs have ended, or there is nothing left to do."""
        wanted = max(to, min(len(self.bodies), len(self.ended) + by))
        self.allowed = max(self.allowed, len(self.accepted) + by)
        await until(
            lambda: len(self.ended) >= wanted or self.all_ended, f"{wanted} jobs to end", within_s=2 * PATIENCE_S
        )

    # ---- what must be true -----------------------------------------------------------------------------------

    async def check(self) -> None:
        histories = await self._histories()
        assert len(set(self.accepted.values())) == len(self.bodies)
        for key, job_id in self.accepted.items():
            check_history(self.bodies[int(key.removeprefix("chaos-"))], histories[job_id])
        for job_id in histories.keys() - self.accepted.values():
            assert histories[job_id][-1]["data"]["reason"].startswith(NOT_ACCEPTED), histories[job_id]
        for viewer in self.mine:
            assert viewer.told.facts.keys() >= set(self.accepted.values()), viewer.told.viewer
        for told in (viewer.told for viewer in (*self.mine, *self.of_jobs)):
            for job_id, facts in told.facts.items():
                assert facts == histories[job_id], f"{told.viewer} was told something else of {job_id}"
        await self._fetch_outputs(histories)
        await self._check_streams(histories)

    async def _histories(self) -> dict[str, list[Message]]:
        """The facts of all jobs there are; the same at all gateways."""
        of_gateways = [await self._histories_at(gateway) for gateway in self.cluster.gateways]
        for other in of_gateways[1:]:
            assert other == of_gateways[0]
        return of_gateways[0]

    async def _histories_at(self, gateway: Member) -> dict[str, list[Message]]:
        listed: list[str] = []
        params: dict[str, Any] = {"limit": 100}
        while True:
            page = (await self.http.get(f"{gateway.url}/v1/jobs", params=params)).raise_for_status().json()
            listed += [job["id"] for job in page["jobs"]]
            if page.get("next") is None:
                break
            params["cursor"] = page["next"]
        answers = {job_id: await self.http.get(f"{gateway.url}/v1/jobs/{job_id}/events") for job_id in listed}
        return {job_id: answer.raise_for_status().json()["events"] for job_id, answer in answers.items()}

    async def _check_streams(self, histories: dict[str, list[Message]]) -> None:
        """The stream has these facts and no others, and nothing waits to be done."""
        connection = await connect(self.cluster.nats.url, "test")
        try:
            writer = FactWriter(connection, Names())
            for job_id, facts in histories.items():
                stored = [fact.message.event for fact in await writer.history(job_id)]
                assert [(event.seq, event.type) for event in stored] == [(fact["seq"], fact["type"]) for fact in facts]
            async with asyncio.timeout(PATIENCE_S):  # who finds work of an ended job clears it away
                while (await connection.js.stream_info(Names().work_stream)).state.messages:
                    await asyncio.sleep(DEADLINE_S / 50)
        finally:
            await connection.close()

    async def _fetch_outputs(self, histories: dict[str, list[Message]]) -> None:
        for facts in histories.values():
            for output in (fact["data"] for fact in facts if fact["type"] == "output.ready"):
                gateway = self.lots.choice(self.cluster.gateways)
                answer = await self.http.get(f"{gateway.url}{output['url']}", headers={"Accept": "*/*"})
                assert answer.status_code == 200, answer.text
                assert hashlib.sha256(answer.content).hexdigest() == output["sha256"]


def body_of(number: int, lots: random.Random) -> Message:
    """A job of some kind; all differ."""
    size = {"width": 24, "height": 16}
    match lots.choices(["pattern", "picture", "failing"], [80, 15, 5])[0]:
        case "picture":
            return {"task": "upscale", "params": {"image": inline(png(seed=number))}}
        case "failing":
            return {"task": "test_pattern", "params": {**size, "seed": number, "steps": 3, "fail_at_step": 2}}
        case _:
            work = {"images": lots.randint(1, 3), "steps": lots.randint(1, 4), "step_ms": lots.randint(20, 80)}
            previews = lots.choice(["none", "latest", "all"])
            return {"task": "test_pattern", "params": {**size, **work, "seed": number}, "previews": previews}


def check_history(body: Message, facts: list[Message]) -> None:
    """The facts of one accepted job are in order, have one end, and it is one that this job may come to."""
    types = [fact["type"] for fact in facts]
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1)), facts
    assert [kind in TERMINAL_TYPES for kind in types] == [False] * (len(facts) - 1) + [True], facts
    outputs = [fact["data"]["index"] for fact in facts if fact["type"] == "output.ready"]
    assert outputs == list(range(len(outputs))), facts
    wanted = body["params"].get("images", 1)
    match types[-1]:
        case "job.succeeded":
            assert len(outputs) == wanted, facts
            assert "fail_at_step" not in body["params"]
        case "job.failed":
            assert "fail_at_step" in body["params"], facts
        case _:
            assert facts[-1]["data"]["reason"] == "cancelled by the client", facts


async def run_chaos(folder: Path, *, jobs: int, viewers: int, blows: tuple[Blow, ...]) -> None:
    seed = int(os.environ.get("SAFELIGHT_CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    sys.stdout.write(f"SAFELIGHT_CHAOS_SEED={seed}\n")
    cluster = Cluster(folder, gateways=2, workers=3, max_attempts=100, snapshot_after=200, log_level="info")
    try:
        await asyncio.to_thread(cluster.start)
        world = World(cluster, random.Random(seed), jobs=jobs, viewers=viewers)
        async with world.http:
            async with asyncio.TaskGroup() as group:
                for viewer in (*world.mine, *world.of_jobs):
                    group.create_task(viewer.run(), name=viewer.told.viewer)
                for of_all in world.mine:
                    await of_all.has_begun.wait()
                group.create_task(world.submit_all(), name="submits")
                group.create_task(world.disturb(blows), name="blows")
            await world.check()
        moves = sum(viewer.moves for viewer in (*world.mine, *world.of_jobs))
        behind = sum(viewer.refused for viewer in world.of_jobs)
        requeues = Counter(sum(fact["type"] == "job.requeued" for fact in facts) for facts in world.told.facts.values())
        sys.stdout.write(
            f"{moves} moves, {behind} to a gateway that could not know yet; {world.refused} submits refused; "
            f"jobs by times requeued: {dict(requeues)}\n"
        )
        assert moves > viewers
        assert world.refused
    finally:
        await asyncio.to_thread(cluster.close)
        cluster.show()


async def test_nothing_is_lost_or_told_twice_when_a_worker_a_gateway_and_nats_are_killed(tmp_path: Path) -> None:
    await run_chaos(tmp_path, jobs=40, viewers=8, blows=SMALL)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_nothing_is_lost_or_told_twice_however_much_is_killed(tmp_path: Path) -> None:
    await run_chaos(tmp_path, jobs=300, viewers=20, blows=FULL)
