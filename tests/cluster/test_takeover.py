"""Jobs of workers that fall silent, and of workers that come back: over a real NATS."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.errors import ErrorCode
from protocol.events import JobCancelled, JobFailed, JobRequeued, JobWarning
from service.broker import Claim
from service.cluster.connection import Unavailable
from service.cluster.delivery import Delivery
from service.cluster.names import Names
from service.cluster.objects import StoreAway
from service.settings import Settings, load
from tests.cluster.desks import GatewayDesk, WorkerDesk, drafts, gateway_desk, worker_desk
from tests.cluster.jobs import SUCCEEDED, a_job, fits, output, started
from tests.cluster.members import eventually
from tests.cluster.wire import Wire
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def lost_s() -> float:
    """A worker silent for so long is lost."""
    return 1.0


@pytest.fixture
def settings(nats: NatsServer, names: Names, tmp_path: Path, lost_s: float) -> Settings:
    (tmp_path / "objects").mkdir()
    given = {"worker_lost_s": lost_s, "max_attempts": 2, "objects_url": (tmp_path / "objects").as_uri()}
    return load(None, {"nats_url": nats.url, "cluster": names.cluster, **given})


@pytest.fixture
async def gateway(settings: Settings, tmp_path: Path) -> AsyncIterator[GatewayDesk]:
    async with gateway_desk(settings, tmp_path / "gateway") as desk:
        yield desk


@pytest.fixture
async def wire(nats: NatsServer) -> AsyncIterator[Wire]:
    async with Wire(nats.port) as wire:
        yield wire


@pytest.fixture
async def one(settings: Settings, tmp_path: Path, gateway: GatewayDesk, wire: Wire) -> AsyncIterator[WorkerDesk]:
    """A worker whose wire to NATS can be cut."""
    async with worker_desk(settings, tmp_path / "one", "one", url=wire.url) as desk:
        yield desk
        wire.mend()


@pytest.fixture
async def two(settings: Settings, tmp_path: Path, gateway: GatewayDesk) -> AsyncIterator[WorkerDesk]:
    async with worker_desk(settings, tmp_path / "two", "two") as desk:
        yield desk


async def begun(gateway: GatewayDesk, worker: WorkerDesk, job_id: str, attempt: int = 1) -> Claim:
    """Let a worker begin a job."""
    claim = await worker.claim()
    assert (claim.record.id, claim.record.attempt) == (job_id, attempt)
    worker.tell(claim, started(attempt, worker.name))
    await gateway.heard.until(job_id, "job.started", times=attempt)
    return claim


async def lost_and_taken_over(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, wire: Wire
) -> tuple[Claim, Claim]:
    """A job that one worker had begun and another has now: their claims."""
    job_id = await gateway.submit(a_job())
    first = await begun(gateway, one, job_id)
    one.tell(first, output(0))
    await gateway.heard.until(job_id, "output.ready")
    wire.cut()
    return first, await begun(gateway, two, job_id, 2)


async def test_a_job_of_a_silent_worker_goes_on_at_another(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, wire: Wire
) -> None:
    first, second = await lost_and_taken_over(gateway, one, two, wire)
    job_id = first.record.id
    assert second.record.outputs == 1
    requeued = gateway.heard.hints(job_id, "job.requeued")[0].body
    assert isinstance(requeued, JobRequeued)
    assert requeued.attempt == 2
    row = await gateway.store.row(job_id)
    assert row is not None
    assert (row["attempt"], row["crashes"]) == (2, 1)

    one.tell(first, output(1), SUCCEEDED)  # it does not know yet
    wire.mend()
    await eventually(lambda: job_id not in one.broker.jobs, "the first worker to hear of it")
    two.tell(second, output(1), SUCCEEDED)
    await gateway.heard.until(job_id, "job.succeeded")
    assert gateway.heard.facts(job_id) == [
        (1, "job.queued"),
        (2, "job.started"),
        (3, "output.ready"),
        (4, "job.requeued"),
        (5, "job.started"),
        (6, "output.ready"),
        (7, "job.succeeded"),
    ]
    assert "job.succeeded" not in one.told


async def test_the_engine_of_a_worker_that_lost_a_job_is_told_to_end_it_and_may_have_it_again(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await lost_and_taken_over(gateway, one, two, wire)
    job_id = first.record.id
    one.tell(first, output(1))
    wire.mend()
    await eventually(lambda: bool(one.engine.cancelled), "the engine to be told")
    assert one.engine.cancelled == [(job_id, "another worker has it")]
    two.broker.pause()
    two.tell(second, JobRequeued(attempt=3, reason="stopping"))
    await gateway.heard.until(job_id, "job.requeued", times=2)
    put_off = asyncio.Event()
    hand_back = Delivery.hand_back

    async def noted(delivery: Delivery, delay_s: float = 0.0) -> None:
        put_off.set()
        await hand_back(delivery, delay_s)

    monkeypatch.setattr(Delivery, "hand_back", noted)
    claiming = asyncio.create_task(one.claim())
    async with asyncio.timeout(DEADLINE_S):
        await put_off.wait()
    assert not claiming.done(), "the engine has not let go of the attempt before"
    one.tell(first, JobCancelled(reason="another worker has it"))
    third = await claiming
    assert (third.record.id, third.record.attempt) == (job_id, 3)
    one.tell(third, started(3), SUCCEEDED)
    await gateway.heard.until(job_id, "job.succeeded")
    assert gateway.heard.hints(job_id, "job.cancelled") == []


async def test_a_worker_that_had_ended_a_job_before_it_heard_that_it_is_lost_may_have_it_again(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, wire: Wire
) -> None:
    first, second = await lost_and_taken_over(gateway, one, two, wire)
    one.tell(first, output(1), SUCCEEDED)
    wire.mend()
    await eventually(lambda: not one.broker.jobs, "the first worker to hear of it")
    assert one.engine.cancelled == []  # there is nothing to end, and nothing will be told of its end
    two.broker.pause()
    two.tell(second, JobRequeued(attempt=3, reason="stopping"))
    third = await one.claim()
    assert (third.record.id, third.record.attempt) == (first.record.id, 3)


async def test_a_job_that_was_lost_too_often_is_failed(
    gateway: GatewayDesk,
    one: WorkerDesk,
    two: WorkerDesk,
    wire: Wire,
    settings: Settings,
    nats: NatsServer,
    tmp_path: Path,
) -> None:
    async with Wire(nats.port) as other, worker_desk(settings, tmp_path / "three", "three", url=other.url) as three:
        first, _ = await lost_and_taken_over(gateway, one, three, wire)
        other.cut()
        claiming = asyncio.create_task(two.claim())
        failed = await gateway.heard.until(first.record.id, "job.failed")
        assert isinstance(failed.body, JobFailed)
        assert failed.body.error.code is ErrorCode.ATTEMPTS_EXHAUSTED
        assert "2 times" in failed.body.error.message
        assert not claiming.done()
        claiming.cancel()
        wire.mend()
        other.mend()
    row = await gateway.store.row(first.record.id)
    assert row is not None
    assert row["crashes"] == 2
    assert gateway.heard.facts(first.record.id)[-1] == (6, "job.failed")


async def test_a_worker_that_is_given_its_own_job_again_keeps_it(gateway: GatewayDesk, two: WorkerDesk) -> None:
    job_id = await gateway.submit(a_job())
    claim = await begun(gateway, two, job_id)
    held = two.broker._held[job_id]
    before, beat = held.delivery, two.broker.beat

    async def nothing() -> None:
        pass

    two.broker.beat = nothing  # type: ignore[method-assign] # NATS does not hear of it in time
    claiming = asyncio.create_task(two.claim())
    await eventually(lambda: held.delivery is not before, "its work to be given out again")
    two.broker.beat = beat  # type: ignore[method-assign]
    two.tell(claim, SUCCEEDED)
    await gateway.heard.until(job_id, "job.succeeded")
    assert gateway.heard.facts(job_id)[1:] == [(2, "job.started"), (3, "job.succeeded")]
    assert not claiming.done()
    claiming.cancel()
    await until_no_work(gateway)


async def test_work_of_a_job_that_has_ended_is_put_away_and_not_done_again(
    gateway: GatewayDesk, two: WorkerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await gateway.submit(a_job())
    claim = await begun(gateway, two, job_id)
    delivery = two.broker._held[job_id].delivery

    async def unheard() -> None:
        raise Unavailable("it did not get there")

    monkeypatch.setattr(delivery, "done", unheard)
    two.tell(claim, SUCCEEDED)
    await gateway.heard.until(job_id, "job.succeeded")
    assert await gateway.broker._work.jobs() == {job_id}
    claiming = asyncio.create_task(two.claim())
    await until_no_work(gateway)
    assert not claiming.done()
    claiming.cancel()
    assert gateway.heard.facts(job_id)[-1] == (3, "job.succeeded")


async def until_no_work(gateway: GatewayDesk) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await gateway.broker._work.jobs():
            await asyncio.sleep(0.02)


async def test_each_of_many_jobs_goes_to_one_of_two_workers(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk
) -> None:
    submitted = {await gateway.submit(a_job(key_id=f"key{number}")) for number in range(12)}

    async def take(worker: WorkerDesk) -> list[str]:
        taken = []
        while len(done) < len(submitted):
            try:
                async with asyncio.timeout(0.5):
                    claim = await worker.broker.claim(fits)
            except TimeoutError:
                continue
            taken.append(claim.record.id)
            done.add(claim.record.id)
            worker.tell(claim, started(), SUCCEEDED)
        return taken

    done: set[str] = set()
    async with asyncio.timeout(3 * DEADLINE_S):
        ones, twos = await asyncio.gather(take(one), take(two))
    assert sorted(ones + twos) == sorted(submitted)
    for job_id in submitted:
        await gateway.heard.until(job_id, "job.succeeded")
        assert [kind for _, kind in gateway.heard.facts(job_id)] == ["job.queued", "job.started", "job.succeeded"]


@pytest.mark.parametrize("lost_s", [60.0])
async def test_a_worker_that_stops_hands_back_what_has_not_begun(
    gateway: GatewayDesk, two: WorkerDesk, settings: Settings, tmp_path: Path
) -> None:
    async with worker_desk(settings, tmp_path / "three", "three") as three:
        job_id = await gateway.submit(a_job())
        assert (await three.claim()).record.id == job_id
    claim = await two.claim()
    assert (claim.record.id, claim.record.attempt) == (job_id, 1)
    assert gateway.heard.facts(job_id) == [(1, "job.queued")]


@pytest.mark.parametrize("lost_s", [60.0])
async def test_a_worker_that_is_told_to_stop_while_it_takes_a_job_up_leaves_it_to_others(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = two.broker._writer.first

    async def told_meanwhile(job_id: str) -> object:
        two.broker.pause()
        return await read(job_id)

    monkeypatch.setattr(two.broker._writer, "first", told_meanwhile)
    job_id = await gateway.submit(a_job())
    claiming = asyncio.create_task(two.claim())
    await eventually(lambda: two.broker._is_paused, "it to be told")
    assert (await one.claim()).record.id == job_id
    assert not claiming.done()
    assert two.broker.jobs == ()
    claiming.cancel()


async def test_a_job_that_is_handed_back_before_it_has_begun_is_let_go_at_once(
    gateway: GatewayDesk, two: WorkerDesk
) -> None:
    job_id = await gateway.submit(a_job())
    claim = await two.claim()
    two.tell(claim, JobRequeued(attempt=2, reason="no memory"))
    again = await two.claim()
    assert (again.record.id, again.record.attempt) == (job_id, 1)


async def test_a_cancel_that_is_asked_for_while_a_job_is_taken_over_is_heard(
    gateway: GatewayDesk, one: WorkerDesk, two: WorkerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await gateway.submit(a_job())
    first = await begun(gateway, one, job_id)
    record = gateway.ledger.get(job_id)
    assert record is not None
    read, heard = two.broker._writer.first, asyncio.Event()
    monkeypatch.setattr(two.cancels, "_on_cancel", lambda _job_id, _reason: heard.set())

    async def slowly(of: str) -> object:
        await gateway.broker._cancels.ask(of, "enough")
        await heard.wait()
        return await read(of)

    monkeypatch.setattr(two.broker._writer, "first", slowly)
    one.broker.pause()
    claiming = asyncio.create_task(two.claim())
    one.tell(first, JobRequeued(attempt=2, reason="stopping"))
    cancelled = await gateway.heard.until(job_id, "job.cancelled")
    assert cancelled.body == JobCancelled(reason="enough")
    assert not claiming.done()
    claiming.cancel()


# ---- what cannot be told or done -----------------------------------------------------------------------------


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_fact_too_large_for_nats_fails_its_job_and_leaves_no_gap(
    gateway: GatewayDesk, two: WorkerDesk, has_ended: bool
) -> None:
    job_id = await gateway.submit(a_job())
    claim = await begun(gateway, two, job_id)
    huge = JobWarning(code="huge", message="x" * (2 << 20))
    two.tell(claim, output(0), huge, *([SUCCEEDED] if has_ended else []))
    failed = await gateway.heard.until(job_id, "job.failed")
    assert isinstance(failed.body, JobFailed)
    assert failed.body.error.code is ErrorCode.TOO_LARGE
    assert gateway.heard.facts(job_id)[2:] == [(3, "output.ready"), (4, "job.failed")]
    assert [job for job, _ in two.engine.cancelled] == ([] if has_ended else [job_id])
    await eventually(lambda: not two.broker.jobs, "the job to be let go")


async def test_an_end_too_large_for_nats_is_an_end_all_the_same(gateway: GatewayDesk, two: WorkerDesk) -> None:
    job_id = await gateway.submit(a_job())
    claim = await begun(gateway, two, job_id)
    two.tell(claim, JobCancelled(reason="x" * (2 << 20)))
    await gateway.heard.until(job_id, "job.failed")
    assert gateway.heard.facts(job_id)[2:] == [(3, "job.failed")]


async def test_a_job_whose_picture_is_gone_is_failed(gateway: GatewayDesk, two: WorkerDesk) -> None:
    gone = await gateway.submit(a_job(inputs={"image": "image.png"}))
    claiming = asyncio.create_task(two.claim())
    failed = await gateway.heard.until(gone, "job.failed")
    assert isinstance(failed.body, JobFailed)
    assert "image.png is gone" in failed.body.error.message
    assert not claiming.done()
    next_one = await gateway.submit(a_job())
    assert (await claiming).record.id == next_one
    assert two.broker.jobs == (next_one,)


async def test_a_job_whose_picture_cannot_be_had_now_is_handed_back(
    gateway: GatewayDesk, two: WorkerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()

    async def away(_path: Path) -> Path:
        tried.set()
        raise StoreAway("it is away")

    with monkeypatch.context() as while_away:
        while_away.setattr(two.broker._files, "bring", away)
        job_id = await gateway.submit(a_job(inputs={"image": "image.png"}))
        claiming = asyncio.create_task(two.claim())
        async with asyncio.timeout(DEADLINE_S):
            await tried.wait()
            await two.broker.idle()  # nothing waits for what is no longer ours
    path = gateway.services.files.inputs(job_id) / "image.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
    await gateway.services.files.share([path])
    claim = await claiming
    assert (claim.record.id, claim.inputs) == (job_id, {"image": "image.png"})
    assert (two.broker._files.inputs(job_id) / "image.png").read_bytes() == b"a picture"


async def test_a_request_that_this_version_does_not_know_fails_alone(gateway: GatewayDesk, two: WorkerDesk) -> None:
    job = a_job()
    row = dict(job.rows["job"])
    row["params"] = '{"of_tomorrow": 1}'
    job.rows = {"job": row}
    job_id = await gateway.submit(job)
    claiming = asyncio.create_task(two.claim())
    await gateway.heard.until(job_id, "job.failed")
    next_one = await gateway.submit(a_job())
    assert (await claiming).record.id == next_one


async def test_what_is_told_of_a_job_while_nats_is_away_is_told_after_in_order_and_once(
    gateway: GatewayDesk, two: WorkerDesk, nats: NatsServer
) -> None:
    job_id = await gateway.submit(a_job())
    claim = await begun(gateway, two, job_id)
    nats.kill()
    two.broker.publish(drafts(claim, (output(0), JobWarning(code="a", message="b"), output(1), SUCCEEDED)))
    await nats.start_beside()
    await gateway.heard.until(job_id, "job.succeeded")
    assert gateway.heard.facts(job_id)[1:] == [
        (2, "job.started"),
        (3, "output.ready"),
        (4, "job.warning"),
        (5, "output.ready"),
        (6, "job.succeeded"),
    ]
    assert [event.seq for event in await gateway.broker.replay(job_id, 0)] == [1, 2, 3, 4, 5, 6]
