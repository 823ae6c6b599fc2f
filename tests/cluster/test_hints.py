"""Hints come to the gateways where somebody looks, over a real NATS, and never before their facts."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from protocol.codec import MSGPACK
from protocol.events import Event, EventBody, JobRequeued, StepFinished
from service.broker import Claim
from service.bus import Bus
from service.clock import timestamp
from service.cluster.connection import connect
from service.cluster.hint_feed import HintFeed
from service.cluster.names import Names
from service.cluster.stream_projection import StreamProjection
from service.ledger import Ledger
from service.projection import Projection
from service.settings import Settings, load
from service.store import Batch, Store
from tests.cluster.desks import GatewayDesk, WorkerDesk, gateway_desk, worker_desk
from tests.cluster.histories import history
from tests.cluster.jobs import SUCCEEDED, a_job, output, started
from tests.cluster.members import eventually
from tests.nats_servers import NatsServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(nats: NatsServer, names: Names, tmp_path: Path) -> Settings:
    (tmp_path / "objects").mkdir()
    at = (tmp_path / "objects").as_uri()
    return load(None, {"nats_url": nats.url, "cluster": names.cluster, "objects_url": at})


@pytest.fixture
async def gateway(settings: Settings, tmp_path: Path) -> AsyncIterator[GatewayDesk]:
    async with gateway_desk(settings, tmp_path / "gateway") as desk:
        yield desk


@pytest.fixture
async def worker(settings: Settings, tmp_path: Path, gateway: GatewayDesk) -> AsyncIterator[WorkerDesk]:
    async with worker_desk(settings, tmp_path / "one", "one") as desk:
        yield desk


class Viewer:
    """Somebody who looks: what was offered, in order."""

    def __init__(self) -> None:
        self.offered: list[Event] = []

    def offer(self, event: Event) -> None:
        self.offered.append(event)

    @property
    def steps(self) -> list[int]:
        return [event.body.step for event in self.offered if isinstance(event.body, StepFinished)]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.offered]


def look(gateway: GatewayDesk, job_id: str) -> Viewer:
    viewer, record = Viewer(), gateway.ledger.get(job_id)
    assert record is not None
    gateway.services.bus.watch_job(job_id, viewer)
    gateway.broker.watch(record)
    return viewer


def step(number: int) -> StepFinished:
    return StepFinished(image=0, step=number, steps=50, progress=number / 50)


async def begun(gateway: GatewayDesk, worker: WorkerDesk, *bodies: EventBody) -> Claim:
    job_id = await gateway.submit(a_job())
    claim = await worker.claim()
    worker.tell(claim, started(worker=worker.name), *bodies)
    await gateway.heard.until(job_id, "job.started")
    await worker.broker.settled()
    return claim


async def test_whoever_looks_first_is_shown_the_newest_hints(
    gateway: GatewayDesk, worker: WorkerDesk, settings: Settings, tmp_path: Path
) -> None:
    async with gateway_desk(settings, tmp_path / "second") as second:
        claim = await begun(gateway, worker, step(4), step(5))
        viewer = look(second, claim.record.id)
        await eventually(lambda: viewer.steps == [5], "the newest hint")
        worker.tell(claim, step(6))
        await eventually(lambda: viewer.steps == [5, 6], "the next one")
        again = look(second, claim.record.id)  # another viewer there costs the first one no repeats
        worker.tell(claim, step(7))
        await eventually(lambda: again.steps == [7], "the next one")
        assert viewer.steps == [5, 6, 7]
        assert gateway.heard.hints(claim.record.id, "step.finished") == []  # nobody looks there


async def test_whoever_looks_at_all_jobs_of_a_key_is_shown_theirs_alone(
    gateway: GatewayDesk, worker: WorkerDesk
) -> None:
    claim = await begun(gateway, worker, step(5))
    viewer = Viewer()
    gateway.services.bus.watch_key("anna", viewer)
    gateway.broker.watch_key("anna")
    await eventually(lambda: viewer.steps == [5], "the newest hint")
    await gateway.submit(a_job(key_id="bert"))
    other = await worker.claim()
    worker.tell(other, started(worker=worker.name), step(1))
    await gateway.heard.until(other.record.id, "job.started")
    await worker.broker.settled()
    worker.tell(claim, step(6))
    await eventually(lambda: viewer.steps == [5, 6], "the next one")
    assert gateway.heard.hints(other.record.id, "step.finished") == []


async def test_hints_of_a_job_nobody_looks_at_any_more_are_not_listened_to(
    gateway: GatewayDesk, worker: WorkerDesk
) -> None:
    claim = await begun(gateway, worker, step(5))
    viewer = look(gateway, claim.record.id)
    await eventually(lambda: viewer.steps == [5], "the newest hint")
    feed = gateway.broker._hints
    worker.tell(claim, SUCCEEDED)
    await gateway.heard.until(claim.record.id, "job.succeeded")
    await feed._leave()
    assert not feed._jobs
    assert not feed._looked_at


async def test_what_was_told_while_nats_was_away_is_shown_when_it_is_back(
    gateway: GatewayDesk, worker: WorkerDesk, nats: NatsServer
) -> None:
    claim = await begun(gateway, worker, step(1))
    viewer = look(gateway, claim.record.id)
    await eventually(lambda: viewer.steps == [1], "the newest hint")
    nats.kill()
    await eventually(lambda: not worker.connection.is_connected, "the worker to see it")
    worker.tell(claim, step(2), step(3))
    await worker.broker.settled()
    await nats.start_beside()
    await eventually(lambda: viewer.steps == [1, 3], "the newest hint")


async def test_a_worker_tells_of_steps_behind_a_fact_that_waits_for_nats_no_more_than_the_newest(
    gateway: GatewayDesk, worker: WorkerDesk, nats: NatsServer
) -> None:
    claim = await begun(gateway, worker)
    look(gateway, claim.record.id)
    nats.kill()
    await eventually(lambda: not worker.connection.is_connected, "the worker to see it")
    worker.tell(claim, output(0), *(step(number) for number in range(1, 50)), output(1), step(50))
    assert len(worker.broker._held[claim.record.id]._untold) == 4
    await nats.start_beside()
    await gateway.heard.until(claim.record.id, "output.ready", times=2)
    assert [kind for _, kind in gateway.heard.facts(claim.record.id)][2:] == ["output.ready", "output.ready"]
    assert worker.told.count("step.finished") == 2


async def test_hints_of_an_attempt_that_is_over_are_not_told(gateway: GatewayDesk, worker: WorkerDesk) -> None:
    claim = await begun(gateway, worker, step(40))
    viewer = look(gateway, claim.record.id)
    await eventually(lambda: viewer.steps == [40], "the newest hint")
    late = Event(step(41), job_id=claim.record.id, seq=2, at=timestamp(), attempt=1, n=10**9)
    worker.tell(claim, JobRequeued(attempt=2, reason="stopping"))
    again = await worker.claim()
    worker.tell(again, started(2, worker.name))
    await gateway.heard.until(claim.record.id, "job.started", times=2)
    other = await connect(gateway.services.settings.nats_url or "", "late")
    subject = gateway.broker._names.hints("anna", claim.record.id)
    await other.nats.publish(subject, MSGPACK.event_frame(late))
    await other.nats.flush()
    await other.close()
    worker.tell(again, step(1))
    await eventually(lambda: viewer.steps[-1] == 1, "a hint of the new attempt")
    assert viewer.steps == [40, 1]


async def test_a_hint_that_overtakes_its_fact_is_told_after_it(tmp_path: Path) -> None:
    store, ledger, bus = Store(tmp_path), Ledger(), Bus()
    await store.open()
    projection = Projection(ledger, bus, job_ttl_s=60)
    feed = HintFeed(None, Names(), ledger, bus, projection)  # type: ignore[arg-type] # it is not asked for anything
    projection.listeners.append(feed)

    async def removed(_note: object) -> None:
        pass

    streamed = StreamProjection(ledger, store, bus, projection, count(), removed)
    job = a_job()
    queued, begun_at, ready = history(started(), output(0), job=job)
    assert job.job_id is not None
    viewer = Viewer()
    bus.watch_job(job.job_id, viewer)
    await streamed.take_in([queued])

    async def arrives(seq: int, number: int) -> None:
        hint = Event(step(number), job_id=job.job_id, seq=seq, at=timestamp(), attempt=1, n=number)
        await feed._arrived(SimpleNamespace(data=MSGPACK.event_frame(hint), subject=""))  # type: ignore[arg-type] # likewise

    await arrives(2, 1)
    await arrives(2, 2)
    await arrives(3, 3)
    commit = store.commit

    async def meanwhile(batch: Batch) -> None:
        """What a fact makes of a job is in the ledger by now, and nobody has been told."""
        await arrives(2, 4)
        await commit(batch)

    store.commit = meanwhile  # type: ignore[method-assign] # as above
    await streamed.take_in([begun_at])
    assert viewer.types == ["job.queued", "job.started", "step.finished"]
    assert viewer.steps == [4]
    store.commit = commit  # type: ignore[method-assign]
    await streamed.take_in([ready])
    assert viewer.types[3:] == ["output.ready"]  # the hint of seq 3 is older than what was told
    await arrives(3, 5)
    assert viewer.steps == [4, 5]
    await store.close()
