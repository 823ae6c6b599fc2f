"""The database of a gateway is what the stream of facts adds up to, however it came to it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, EventBody, JobCancelled, JobFailed, JobRequeued, JobWarning, OutputSkipped
from protocol.requests import Webhook
from service.bus import Bus
from service.clock import timestamp
from service.cluster import stream_projection
from service.cluster.envelope import FactMessage, RemovedNote
from service.cluster.follower import Taken
from service.cluster.names import Names
from service.cluster.shared_outbox import SharedOutbox
from service.cluster.snapshots import Snapshots
from service.cluster.stream_projection import StreamProjection
from service.database import StoreUnavailable
from service.drafts import Draft
from service.ledger import Ledger
from service.migrations import DATABASE_NAME
from service.projection import Projection
from service.settings import Settings, load
from service.store import Batch, Store
from tests.cluster.desks import GatewayDesk, gateway_desk
from tests.cluster.histories import first_fact, history
from tests.cluster.jobs import SUCCEEDED, Heard, a_job, output, started
from tests.cluster.members import eventually
from tests.cluster.tables import tables
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

FAILED = JobFailed(error=ProtocolError(ErrorCode.INTERNAL, "it broke").body())
HOOK = Webhook.model_validate({"url": "https://example.com/hook", "events": ["job.queued", "job.succeeded"]})


@pytest.fixture(autouse=True)
def _nobody_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedOutbox, "next_webhook_at", lambda _outbox: _never())


async def _never() -> None:
    return None


@pytest.fixture
def settings(nats: NatsServer, names: Names, tmp_path: Path) -> Settings:
    (tmp_path / "objects").mkdir()
    at = (tmp_path / "objects").as_uri()
    return load(None, {"nats_url": nats.url, "cluster": names.cluster, "objects_url": at})


@pytest.fixture
async def gateway(settings: Settings, tmp_path: Path) -> AsyncIterator[GatewayDesk]:
    async with gateway_desk(settings, tmp_path / "first") as desk:
        yield desk


async def tell(gateway: GatewayDesk, job_id: str, *bodies: EventBody, attempt: int = 1) -> None:
    """Facts of a job, as whoever has it tells them."""
    for body in bodies:
        is_crash = isinstance(body, JobRequeued)
        assert await gateway.log.put_and_wait(Draft(body, job_id, attempt, is_crash=is_crash)) is not None


async def live(gateway: GatewayDesk) -> dict[str, str]:
    """Let happen what can happen to jobs; returns their ids by what did."""
    idempotency = {"key_id": "anna", "idempotency_key": "k", "body_sha256": "d", "created_at": timestamp()}
    jobs = {
        name: await gateway.submit(job)
        for name, job in {
            "succeeded": a_job(webhook=HOOK, more={"idempotency": idempotency, "foreign": {"request": "{}"}}),
            "failed": a_job(key_id="bert"),
            "cancelled": a_job(),
            "removed": a_job(),
            "running": a_job(),
        }.items()
    }
    jobs["noted"] = await gateway.submit(a_job(), JobWarning(code="capped", message="too much"))
    await tell(gateway, jobs["succeeded"], started(), output(0), OutputSkipped(index=1))
    await tell(gateway, jobs["succeeded"], JobRequeued(attempt=2, reason="lost"))
    await tell(gateway, jobs["succeeded"], started(2, "two"), output(2), SUCCEEDED, attempt=2)
    await tell(gateway, jobs["failed"], started(), FAILED)
    await tell(gateway, jobs["cancelled"], JobCancelled(reason="enough"))
    await tell(gateway, jobs["removed"], started(), output(0), SUCCEEDED)
    await tell(gateway, jobs["running"], started(), output(0))
    ended = await gateway.store.ended_job(jobs["removed"])
    assert ended is not None
    await gateway.services.removal.remove([ended], "removed by the client")
    return jobs


async def test_a_database_built_anew_is_the_one_that_was_built_live(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    jobs = await live(gateway)
    async with gateway_desk(settings, tmp_path / "second") as second:
        assert second.streamed.position == gateway.streamed.position
        built, lived = tables(tmp_path / "second"), tables(tmp_path / "first")
        assert built == lived
        assert {job_id for row in lived["jobs"] if (job_id := row["id"])} == set(jobs.values()) - {jobs["removed"]}
        assert [row["crashes"] for row in lived["jobs"] if row["id"] == jobs["succeeded"]] == [1]
        assert len(lived["webhook_outbox"]) == 2
        assert len(lived["idempotency"]) == len(lived["foreign_requests"]) == 1
        for job_id in jobs.values():
            assert await second.broker.replay(job_id, 0) == await gateway.broker.replay(job_id, 0)
        assert {record.id for record in second.ledger} == {jobs["running"], jobs["noted"]}
        assert set(second.ledger.running) == {jobs["running"]}
        assert jobs["noted"] in second.services.admission
        assert jobs["running"] not in second.services.admission


async def test_two_gateways_tell_the_same_facts_with_the_same_cursors(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    async with gateway_desk(settings, tmp_path / "second") as second:
        job_id = await gateway.submit(a_job())
        await tell(second, job_id, started())
        await tell(gateway, job_id, SUCCEEDED)
        await second.heard.until(job_id, "job.succeeded")
        assert second.heard.of(job_id) == [event for event in gateway.heard.of(job_id) if event.is_fact]
        cursor = second.heard.of(job_id)[0].cursor
        assert cursor is not None
        facts = await gateway.store.facts_of_key("anna", cursor, gateway.log.stored_cursor, 10)
        assert [fact.type for fact in facts] == ["job.started", "job.succeeded"]


async def test_a_gateway_that_begins_with_a_snapshot_comes_to_the_same(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    jobs = await live(gateway)
    await gateway.role._snapshots.write(gateway.store)
    await tell(gateway, jobs["running"], SUCCEEDED)
    await gateway.writer.purge(jobs["failed"])  # only the snapshot knows it now
    async with gateway_desk(settings, tmp_path / "second"):
        assert tables(tmp_path / "second") == tables(tmp_path / "first")


async def test_a_gateway_that_comes_back_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    async with gateway_desk(settings, tmp_path / "first") as gateway:
        jobs = await live(gateway)
        position = gateway.streamed.position
        async with gateway_desk(settings, tmp_path / "second") as second:
            await tell(second, jobs["noted"], started())
            await second.writer.purge(jobs["failed"])
        await gateway.heard.until(jobs["noted"], "job.started")
    async with gateway_desk(settings, tmp_path / "second") as again:
        assert again.streamed.position > position
        assert tables(tmp_path / "second") == tables(tmp_path / "first")
        record = again.ledger.get(jobs["running"])
        assert record is not None
        assert (record.worker, record.outputs, record.seq) == ("one", 1, 3)


@pytest.mark.parametrize("which", ["damaged", "of another history", "ahead of the stream"])
async def test_a_database_that_is_not_of_this_stream_is_built_anew(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path, which: str
) -> None:
    await live(gateway)
    folder = tmp_path / "second"
    folder.mkdir()
    if which == "damaged":
        (folder / DATABASE_NAME).write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    else:
        store = Store(folder)
        await store.open()
        if which == "ahead of the stream":
            await store.adopt(gateway.store.database_id)
        await store.close()
        with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:
            position = 10**6 if which == "ahead of the stream" else 1
            database.execute("INSERT INTO meta (name, value) VALUES ('position', ?)", (str(position),))
            database.execute("INSERT INTO forgotten (key_id, cursor) VALUES ('stranger', 1)")
            database.commit()
    async with gateway_desk(settings, folder):
        assert tables(folder) == tables(tmp_path / "first")
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:
        assert database.execute("SELECT count(*) FROM forgotten WHERE key_id = 'stranger'").fetchone() == (0,)


async def test_of_snapshots_two_are_kept_and_one_of_another_history_is_not_looked_at(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    objects = gateway.role._snapshots._objects
    others = Snapshots(objects, tmp_path / "first", "other")
    for _ in range(3):
        await gateway.submit(a_job())
        await gateway.role._snapshots.write(gateway.store)
        await others.write(gateway.store)
    names = sorted(found.name for found in await objects.list("snapshots"))
    mine = [name for name in names if f"/{gateway.store.database_id}/" in name]
    assert len(names) == 4
    assert [int(Path(name).stem) for name in mine] == [gateway.streamed.position - 1, gateway.streamed.position]
    folder = tmp_path / "second"
    folder.mkdir()
    await Snapshots(objects, folder, gateway.store.database_id).begin(gateway.streamed.position - 1)
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:  # not the newest, which knows too much
        assert dict(database.execute("SELECT name, value FROM meta"))["position"] == str(gateway.streamed.position - 1)


async def test_what_cannot_be_read_is_passed_over(gateway: GatewayDesk, names: Names) -> None:
    good = first_fact(a_job()).to_bytes()
    js = gateway.connection.js
    before = await gateway.submit(a_job())
    for number, payload in enumerate(
        (
            b"",
            b"\xff\xfe",
            b"[]",
            b"{}",
            good.replace(b"job.queued", b"job.teleported"),
            good.replace(b'"task":"test_pattern"', b'"task":"dream"'),
            good.replace(b'"key_id":"anna",', b""),
            good.replace(b'"labels":', b'"tags":'),
            good.replace(b'"previews":"latest"', b'"previews":"weekly"'),
        )
    ):
        await js.publish(names.fact(f"odd{number}"), payload)
    for subject in (names.note("removed", "odd"), names.note("webhook", "odd"), names.note("tomorrow", "odd")):
        await js.publish(subject, b"nonsense")
    job_id = await gateway.submit(a_job())
    assert gateway.heard.facts(job_id) == [(1, "job.queued")]
    assert {record.id for record in gateway.ledger} == {before, job_id}
    assert gateway.log.is_healthy


async def test_a_note_of_a_webhook_is_heeded_by_every_gateway(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    async with gateway_desk(settings, tmp_path / "second") as second:
        job_id = await gateway.submit(a_job(webhook=HOOK))
        await tell(gateway, job_id, started(), SUCCEEDED)
        await second.heard.until(job_id, "job.succeeded")
        outbox = SharedOutbox(gateway.store, gateway.writer, lambda: True)
        await outbox.delete_webhook(f"msg_{job_id}_1")
        await outbox.give_up_webhook(f"msg_{job_id}_3", "it is not there")
        await outbox.give_up_webhook(f"msg_{job_id}_3", "it is not there")
        await asyncio.gather(gateway.follower.catch_up(), second.follower.catch_up())
        for folder in ("first", "second"):
            rows = tables(tmp_path / folder)["webhook_outbox"]
            assert [(row["id"], row["state"]) for row in rows] == [(f"msg_{job_id}_3", "given up: it is not there")]


async def test_a_gateway_that_is_not_in_charge_delivers_no_webhooks(gateway: GatewayDesk) -> None:
    await gateway.submit(a_job(webhook=HOOK))
    in_charge = False
    outbox = SharedOutbox(gateway.store, gateway.writer, lambda: in_charge)
    assert await outbox.due_webhooks(2e9, 10) == ()
    in_charge = True
    assert len(await outbox.due_webhooks(9e9, 10)) == 1


async def test_a_removed_job_is_gone_at_every_gateway_and_told_of(
    gateway: GatewayDesk, settings: Settings, tmp_path: Path
) -> None:
    async with gateway_desk(settings, tmp_path / "second") as second:
        job_id = await gateway.submit(a_job())
        await tell(gateway, job_id, started(), SUCCEEDED)
        picture = gateway.services.files.inputs(job_id) / "image.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"a picture")
        await gateway.services.files.share([picture])
        ended = await gateway.store.ended_job(job_id)
        assert ended is not None
        await gateway.services.removal.remove([ended], "removed by the client")
        for desk in (gateway, second):
            removed = await desk.heard.until(job_id, "job.removed")
            assert removed.seq == 3
            assert not await desk.store.knows_job(job_id)
        assert not picture.exists()
        assert not [path for path in (tmp_path / "objects").rglob("*") if job_id in path.as_posix()]
        assert await gateway.writer.last(job_id) is None


# ---- without NATS --------------------------------------------------------------------------------------------


class Table:
    """A projection and its database, given messages by hand."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.ledger, bus = Ledger(), Bus()
        self.heard = Heard()
        projection = Projection(self.ledger, bus, job_ttl_s=60)
        projection.listeners.append(self.heard)
        self.removed: list[str] = []
        self.on_removed: Callable[[RemovedNote], Awaitable[None]] = self._remove
        self.streamed = StreamProjection(
            self.ledger, self.store, bus, projection, count(), lambda note: self.on_removed(note)
        )

    async def load(self) -> None:
        await self.store.open()
        await self.streamed.load(lambda _record: None)

    async def _remove(self, note: RemovedNote) -> None:
        self.removed.append(note.job_id)


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    made = Table(tmp_path)
    await made.load()
    yield made
    await made.store.close()


def removal(number: int, job_id: str = "gone") -> Taken:
    note = RemovedNote(job_id=job_id, key_id="anna", at=timestamp(), reason="removed")
    return Taken(number, Names().note(note.WHAT, job_id), note.to_bytes())


async def test_what_was_taken_in_before_changes_nothing(table: Table, tmp_path: Path) -> None:
    taken = [*history(started(), output(0), SUCCEEDED), *history(started(), output(0), after=4)]
    await table.streamed.take_in(taken)
    before, told = tables(tmp_path), list(table.heard.events)
    assert len(told) == 7
    await table.streamed.take_in(taken[2:5])
    await table.streamed.take_in(taken)
    await table.streamed.take_in([Taken(message.number + 100, message.subject, message.data) for message in taken[4:]])
    assert table.heard.events == told
    after = tables(tmp_path)
    assert after.pop("meta") != before.pop("meta")  # the position alone
    assert after == before


async def test_a_position_is_stored_with_the_facts_before_it(table: Table, tmp_path: Path) -> None:
    whole = history(started(), SUCCEEDED)

    async def breaks_down(_note: RemovedNote) -> None:
        raise OSError("power is gone")

    table.on_removed = breaks_down
    with pytest.raises(OSError, match="power"):
        await table.streamed.take_in([*whole, removal(4), *history(after=4)])
    again = Table(tmp_path)
    await again.load()
    assert again.streamed.position == 3
    async with asyncio.timeout(DEADLINE_S):
        await again.streamed.take_in([removal(4), *history(after=4)])
    assert again.removed == ["gone"]
    assert await again.store.position() == again.streamed.position == 5
    await again.store.close()


async def test_a_note_waits_for_the_disk_as_facts_do(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    is_full = True
    tried = asyncio.Event()

    async def full(_note: RemovedNote) -> None:
        tried.set()
        if is_full:
            raise StoreUnavailable("the disk is full")

    table.on_removed = full
    monkeypatch.setattr(stream_projection, "_RETRY_AFTER_S", 0.01)
    taking_in = asyncio.create_task(table.streamed.take_in([removal(1), *history(after=1)]))
    async with asyncio.timeout(DEADLINE_S):
        await tried.wait()
        await eventually(lambda: not table.streamed.is_healthy, "it to say so")
        assert table.streamed.position == 0
        is_full = False
        await taking_in
    assert table.streamed.is_healthy
    assert table.streamed.position == 2


async def test_facts_wait_for_the_disk_and_are_told_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, tries = table.store.commit, 0

    async def at_the_third(batch: Batch) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable("the disk is full")
        assert not table.streamed.is_healthy
        assert table.heard.events == []
        await commit(batch)

    monkeypatch.setattr(table.store, "commit", at_the_third)
    monkeypatch.setattr(stream_projection, "_RETRY_AFTER_S", 0.01)
    await table.streamed.take_in(history(started()))
    assert [event.type for event in table.heard.events] == ["job.queued", "job.started"]
    assert table.streamed.is_healthy


async def test_a_job_that_an_older_version_accepted_is_taken_in(table: Table) -> None:
    job = a_job()
    row = dict(job.rows["job"])
    del row["given"]
    job.rows = {"job": row}
    async with asyncio.timeout(DEADLINE_S):
        await table.streamed.take_in(history(started(), job=job))
    assert job.job_id is not None
    assert await table.store.knows_job(job.job_id)


async def test_a_fact_that_cannot_follow_is_passed_over(table: Table) -> None:
    whole = history(started(), SUCCEEDED)
    last = FactMessage.from_bytes(whole[-1].data)
    odd = FactMessage(
        event=Event(started(), job_id=last.job_id, seq=4, at=timestamp()),
        key_id="anna",
        attempt=1,
        state=last.state,
    )
    running = history(started(), after=10)
    twice = FactMessage.from_bytes(running[-1].data)
    again = FactMessage(
        event=Event(started(), job_id=twice.job_id, seq=3, at=timestamp()), key_id="anna", attempt=1, state=twice.state
    )
    await table.streamed.take_in([*whole, Taken(4, whole[0].subject, odd.to_bytes())])
    await table.streamed.take_in([*running, Taken(13, running[0].subject, again.to_bytes())])
    assert [seq for seq, _ in table.heard.facts(last.job_id)] == [1, 2, 3]
    assert [seq for seq, _ in table.heard.facts(twice.job_id)] == [1, 2]
    assert table.streamed.position == 13
