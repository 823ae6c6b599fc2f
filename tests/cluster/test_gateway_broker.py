"""Several gateways take jobs in, with a NATS that may be away: over a real one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.events import JobCancelled
from service.broker import Earlier
from service.clock import timestamp
from service.cluster import gateway_broker
from service.cluster.connection import Unavailable
from service.cluster.names import Names
from service.cluster.reconciler import Reconciler
from service.database import StoreUnavailable
from service.drafts import Draft
from service.settings import Settings, load
from tests.cluster.desks import GatewayDesk, gateway_desk, worker_desk
from tests.cluster.histories import first_fact
from tests.cluster.jobs import SUCCEEDED, a_job, started
from tests.cluster.members import eventually
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

LONG_AGO = timestamp(plus_s=-60)


@pytest.fixture
def settings(nats: NatsServer, names: Names, tmp_path: Path) -> Settings:
    (tmp_path / "objects").mkdir()
    at = (tmp_path / "objects").as_uri()
    return load(None, {"nats_url": nats.url, "cluster": names.cluster, "objects_url": at})


@pytest.fixture
async def gateway(settings: Settings, tmp_path: Path) -> AsyncIterator[GatewayDesk]:
    async with gateway_desk(settings, tmp_path / "first") as desk:
        yield desk


@pytest.fixture
async def second(settings: Settings, tmp_path: Path, gateway: GatewayDesk) -> AsyncIterator[GatewayDesk]:
    async with gateway_desk(settings, tmp_path / "second") as desk:
        yield desk


async def test_a_job_that_cannot_be_stored_in_time_is_refused_and_not_there_later(
    gateway: GatewayDesk, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_broker, "WRITE_S", 0.3)
    nats.kill()
    await eventually(lambda: not gateway.connection.is_connected, "it to see that")
    assert not gateway.log.is_healthy
    refused = a_job()
    with pytest.raises(StoreUnavailable):
        await gateway.submit(refused)
    await nats.start_beside()
    async with asyncio.timeout(DEADLINE_S):
        await gateway.connection.until_connected()
        await gateway.broker.settle(DEADLINE_S)
    monkeypatch.setattr(gateway_broker, "WRITE_S", DEADLINE_S)
    accepted = await gateway.submit(a_job())
    assert refused.job_id is not None
    assert gateway.heard.of(refused.job_id) == []
    assert {record.id for record in gateway.ledger} == {accepted}
    assert gateway.log.is_healthy


async def test_a_key_that_another_gateway_is_still_accepting_a_job_for_is_answered_with_that_job(
    gateway: GatewayDesk, second: GatewayDesk
) -> None:
    job = a_job()
    assert job.job_id is not None
    assert await gateway.broker.reserve("anna", "k", "digest", job.job_id) is None
    asking = asyncio.create_task(second.broker.reserve("anna", "k", "digest", "other"))
    await gateway.submit(job)
    async with asyncio.timeout(DEADLINE_S):
        assert await asking == Earlier(job.job_id, "digest")
    assert await second.store.knows_job(job.job_id)


async def test_a_key_whose_gateway_went_away_before_it_accepted_a_job_is_given_up_to_the_next(
    gateway: GatewayDesk, second: GatewayDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job()
    assert job.job_id is not None
    assert await gateway.broker.reserve("anna", "k", "digest", job.job_id) is None
    assert await second.broker.reserve("anna", "k", "another", "x") == Earlier(job.job_id, "digest")
    monkeypatch.setattr(gateway_broker, "_OTHER_GATEWAY_S", 0.2)
    assert await second.broker.reserve("anna", "k", "digest", "x") == Earlier(job.job_id, "digest", is_made=False)
    await second.submit(job)
    again = a_job()
    again.job_id, again.rows = job.job_id, job.rows  # the first one was only slow
    assert again.record is not None
    again.record.id = job.job_id
    await gateway.submit(again)
    assert gateway.heard.facts(job.job_id) == [(1, "job.queued")]
    assert await gateway.broker._work.jobs() == {job.job_id}


async def test_a_job_whose_work_cannot_be_added_at_once_is_given_out_later(
    gateway: GatewayDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, tries = gateway.broker._work.add, 0

    async def at_the_second(*given: object, **more: object) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("not now")
        return await add(*given, **more)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(gateway.broker._work, "add", at_the_second)
    monkeypatch.setattr(gateway_broker, "_RETRY_S", 0.01)
    job_id = await gateway.submit(a_job())
    assert await gateway.broker._work.jobs() == {job_id}


async def test_any_gateway_may_cancel_a_job_that_waits_and_its_work_is_taken_out(
    gateway: GatewayDesk, second: GatewayDesk
) -> None:
    job_id = await gateway.submit(a_job())
    await second.heard.until(job_id, "job.queued")
    record = second.ledger.get(job_id)
    assert record is not None
    await asyncio.gather(second.broker.cancel(record, "enough"), second.broker.cancel(record, "enough, I said"))
    await gateway.heard.until(job_id, "job.cancelled")
    assert len(gateway.heard.facts(job_id)) == 2
    assert await gateway.broker._work.jobs() == set()
    assert job_id not in gateway.services.admission


async def test_a_cancel_that_meets_a_start_asks_the_worker(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    async with worker_desk(settings, tmp_path / "one", "one") as worker:
        job_id = await gateway.submit(a_job())
        claim = await worker.claim()
        record = gateway.ledger.get(job_id)
        assert record is not None
        worker.tell(claim, started(worker="one"))
        await worker.broker.settled()  # the gateway may not have heard yet
        await gateway.broker.cancel(record, "enough")
        await eventually(lambda: worker.engine.cancelled == [(job_id, "enough")], "the engine to be asked")
        worker.tell(claim, JobCancelled(reason="enough"))
        await gateway.heard.until(job_id, "job.cancelled")


# ---- work that is missing ------------------------------------------------------------------------------------


def reconciler(gateway: GatewayDesk) -> Reconciler:
    broker = gateway.broker
    return Reconciler(gateway.ledger, gateway.store, gateway.writer, broker._work, broker._places)


async def left_behind(gateway: GatewayDesk, job: Draft) -> str:
    """A job whose gateway ended before it had added the work."""
    assert job.job_id is not None
    await gateway.writer.append(first_fact(job), after=0)
    await gateway.heard.until(job.job_id, "job.queued")
    return job.job_id


async def test_work_of_a_job_whose_gateway_went_away_is_added_once(
    gateway: GatewayDesk,
    second: GatewayDesk,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = await left_behind(gateway, a_job(created_at=LONG_AGO))
    await second.heard.until(job_id, "job.queued")
    young = await left_behind(gateway, a_job())
    with_work = await gateway.submit(a_job(created_at=LONG_AGO))
    ended = await left_behind(gateway, a_job(created_at=LONG_AGO))
    record = gateway.ledger.get(ended)
    assert record is not None
    await gateway.broker.cancel(record, "enough")
    found = await asyncio.gather(reconciler(gateway).look(), reconciler(second).look())
    assert sorted(found) == [0, 1]

    async def never(*_given: object, **_more: object) -> bool:
        raise AssertionError("nothing is missing")  # NATS would drop it for some minutes, and then not

    with monkeypatch.context() as while_nothing_is_missing:
        while_nothing_is_missing.setattr(gateway.broker._work, "add", never)
        assert await reconciler(gateway).look() == 0
    assert await gateway.broker._work.jobs() == {job_id, with_work}
    async with worker_desk(settings, tmp_path / "one", "one") as worker:
        claimed = set()
        for _ in range(2):
            claim = await worker.claim()
            claimed.add(claim.record.id)
            worker.tell(claim, started(worker="one"), SUCCEEDED)
            await gateway.heard.until(claim.record.id, "job.succeeded")
        assert claimed == {job_id, with_work}
        assert await reconciler(gateway).look() == 0
    assert gateway.heard.facts(young) == [(1, "job.queued")]


async def test_work_of_a_running_job_that_is_gone_is_added_so_that_it_can_be_taken_over(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    job_id = await left_behind(gateway, a_job(created_at=LONG_AGO))
    await gateway.log.put_and_wait(Draft(started(worker="of yesterday"), job_id))
    assert await reconciler(gateway).look() == 1
    assert await gateway.broker._work.jobs() == {job_id}
