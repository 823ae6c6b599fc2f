"""Facts into a real NATS and out again, with answers that get lost and a server that is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from nats.js.api import Header

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import (
    Event,
    EventBody,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobStarted,
    JobSucceeded,
    JobWarning,
)
from protocol.ids import new_id
from protocol.jobs import JobStatus
from protocol.requests import Priority, TaskName
from service.cluster.connection import Connection, Unavailable, connect
from service.cluster.envelope import FactMessage, JobState, RemovedNote, WebhookNote
from service.cluster.fact_writer import REMOVED_NOTE_TTL_S, FactWriter, Fenced
from service.cluster.names import Names
from service.cluster.streams import ensure
from service.settings import Settings
from tests.cluster.lossy_proxy import LossyProxy
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

AT = "2026-11-21T10:00:00.000Z"
ACK = b'"seq":'
STATUSES: dict[type[EventBody], JobStatus] = {
    JobQueued: JobStatus.QUEUED,
    JobStarted: JobStatus.RUNNING,
    JobWarning: JobStatus.RUNNING,
    JobSucceeded: JobStatus.SUCCEEDED,
    JobFailed: JobStatus.FAILED,
    JobCancelled: JobStatus.CANCELLED,
}


def fact(job_id: str, seq: int, body: EventBody) -> FactMessage:
    return FactMessage(
        event=Event(body, job_id=job_id, seq=seq, at=AT),
        key_id="anna",
        attempt=1,
        state=JobState(status=STATUSES[type(body)], seq=seq),
        rows={"job": {"id": job_id}} if seq == 1 else {},
    )


def queued(job_id: str) -> FactMessage:
    return fact(job_id, 1, JobQueued(task=TaskName.TEXT_TO_IMAGE, priority=Priority.NORMAL))


def started(job_id: str, worker: str = "one", seq: int = 2) -> FactMessage:
    return fact(job_id, seq, JobStarted(worker=worker, device="cpu", attempt=1))


@pytest.fixture
async def writer(connection: Connection, names: Names, settings: Settings) -> FactWriter:
    await ensure(connection, names, settings)
    return FactWriter(connection, names)


@pytest.fixture
async def proxy(nats: NatsServer) -> AsyncIterator[LossyProxy]:
    async with LossyProxy(nats.port) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: LossyProxy, writer: FactWriter, names: Names) -> AsyncIterator[FactWriter]:
    """A writer whose way to NATS can lose what goes over it. `writer` is nearer."""
    connection = await connect(proxy.url, "far")
    yield FactWriter(connection, names)
    await connection.close()


async def test_a_fact_comes_out_as_it_went_in(writer: FactWriter) -> None:
    job_id, other = new_id(), new_id()
    first = await writer.append(queued(job_id), after=0)
    await writer.append(queued(other), after=0)
    second = await writer.append(started(job_id), after=first)
    assert second > first
    facts = await writer.history(job_id)
    assert [(stored.message, stored.sequence) for stored in facts] == [
        (queued(job_id), first),
        (started(job_id), second),
    ]
    assert await writer.first(job_id) == facts[0]
    assert await writer.last(job_id) == facts[1]
    assert await writer.history(job_id, after=first) == facts[1:]


async def test_a_job_nobody_knows_has_no_facts(writer: FactWriter) -> None:
    assert await writer.last("unknown") is None
    assert await writer.first("unknown") is None
    assert await writer.history("unknown") == []


async def test_of_two_that_believe_they_have_a_job_one_is_told(writer: FactWriter) -> None:
    job_id = new_id()
    place = await writer.append(queued(job_id), after=0)
    claims = await asyncio.gather(
        *(writer.append(started(job_id, f"worker-{number}"), after=place) for number in range(20)),
        return_exceptions=True,
    )
    won = [claim for claim in claims if isinstance(claim, int)]
    fenced = [claim for claim in claims if isinstance(claim, Fenced)]
    assert len(won) == 1
    assert len(fenced) == 19
    last = await writer.last(job_id)
    assert last is not None
    assert last.sequence == won[0]
    assert all(claim.last == last for claim in fenced)
    assert len(await writer.history(job_id)) == 2


async def test_a_worker_that_wakes_late_is_told_how_the_job_ended(writer: FactWriter) -> None:
    job_id = new_id()
    place = await writer.append(queued(job_id), after=0)
    late = place = await writer.append(started(job_id), after=place)
    end = fact(job_id, 3, JobSucceeded(duration_s=1))
    await writer.append(end, after=place)
    with pytest.raises(Fenced) as caught:
        await writer.append(fact(job_id, 3, JobFailed(error=ProtocolError(ErrorCode.INTERNAL, "").body())), after=late)
    assert caught.value.last is not None
    assert caught.value.last.message == end
    assert caught.value.last.message.state.status is JobStatus.SUCCEEDED


async def test_a_fact_whose_answer_got_lost_is_stored_once_and_not_fenced(
    proxy: LossyProxy, far: FactWriter, writer: FactWriter
) -> None:
    job_id = new_id()
    proxy.losing_back = ACK
    place = await far.append(queued(job_id), after=0)
    assert proxy.has_lost.is_set()
    assert [stored.sequence for stored in await writer.history(job_id)] == [place]
    assert await far.append(started(job_id), after=place) > place


async def test_a_fact_whose_answer_got_lost_is_stored_though_the_job_has_gone_on(
    proxy: LossyProxy, far: FactWriter, writer: FactWriter
) -> None:
    job_id = new_id()
    proxy.losing_back = ACK
    proxy.close_after_loss()
    appending = asyncio.create_task(far.append(queued(job_id), after=0))
    await asyncio.wait_for(proxy.has_lost.wait(), DEADLINE_S)
    stored = await writer.last(job_id)
    assert stored is not None
    await writer.append(started(job_id), after=stored.sequence)
    proxy.open()
    assert await asyncio.wait_for(appending, 3 * DEADLINE_S) == stored.sequence


async def test_a_fact_that_never_arrived_is_fenced_by_the_one_that_took_its_place(
    proxy: LossyProxy, far: FactWriter, writer: FactWriter
) -> None:
    job_id = new_id()
    place = await writer.append(queued(job_id), after=0)
    proxy.losing_there = b"job.started"
    proxy.close_after_loss()
    appending = asyncio.create_task(far.append(started(job_id, "far"), after=place))
    await asyncio.wait_for(proxy.has_lost.wait(), DEADLINE_S)
    near = await writer.append(started(job_id, "near"), after=place)
    proxy.open()
    with pytest.raises(Fenced) as caught:
        await asyncio.wait_for(appending, 3 * DEADLINE_S)
    assert caught.value.last is not None
    assert caught.value.last.sequence == near
    assert len(await writer.history(job_id)) == 2


async def test_a_fact_that_never_arrived_is_sent_again(proxy: LossyProxy, far: FactWriter, writer: FactWriter) -> None:
    job_id = new_id()
    proxy.losing_there = b"job.queued"
    place = await asyncio.wait_for(far.append(queued(job_id), after=0), 3 * DEADLINE_S)
    assert proxy.has_lost.is_set()
    assert [stored.sequence for stored in await writer.history(job_id)] == [place]


async def test_the_same_answer_comes_when_the_server_has_forgotten_the_ids_of_messages(
    proxy: LossyProxy, far: FactWriter, writer: FactWriter, connection: Connection, names: Names
) -> None:
    config = (await connection.js.stream_info(names.facts_stream)).config
    await connection.js.update_stream(config, duplicate_window=0.1)
    job_id = new_id()
    proxy.losing_back = ACK
    proxy.close_after_loss()
    appending = asyncio.create_task(far.append(queued(job_id), after=0))
    await asyncio.wait_for(proxy.has_lost.wait(), DEADLINE_S)
    probe, place = new_id(), 0
    while True:  # until an id of before is taken for a new one
        ack = await connection.js.publish(names.note("webhook", probe), b"", headers={Header.MSG_ID.value: probe})
        if place and not ack.duplicate:
            break
        place = ack.seq
    proxy.open()
    stored = await asyncio.wait_for(appending, 3 * DEADLINE_S)
    assert [one.sequence for one in await writer.history(job_id)] == [stored]


async def test_facts_written_while_nats_is_killed_again_and_again_are_neither_lost_nor_doubled(
    nats: NatsServer, connection: Connection, writer: FactWriter
) -> None:
    jobs, facts = [new_id() for _ in range(20)], 30
    written, kills, is_time = 0, 0, asyncio.Event()

    async def write(job_id: str) -> list[int]:
        nonlocal written
        places = [await writer.append(queued(job_id), after=0)]
        for seq in range(2, facts + 1):
            body = JobWarning(code="c", message=f"{seq}")
            places.append(await writer.append(fact(job_id, seq, body), after=places[-1]))
            written += 1
            if written % 120 == 0:
                is_time.set()
        return places

    async def kill() -> None:
        nonlocal kills
        while True:
            await is_time.wait()
            is_time.clear()
            nats.kill()
            kills += 1
            await nats.start_beside()
            await connection.until_connected()

    killing = asyncio.create_task(kill())
    all_places = await asyncio.wait_for(asyncio.gather(*(write(job_id) for job_id in jobs)), 10 * DEADLINE_S)
    killing.cancel()
    await asyncio.wait([killing])
    assert kills >= 3
    for job_id, places in zip(jobs, all_places, strict=True):
        stored = await writer.history(job_id)
        assert [one.message.event.seq for one in stored] == list(range(1, facts + 1))
        assert [one.sequence for one in stored] == places


async def test_who_cannot_wait_is_told_in_time_that_nats_is_away(nats: NatsServer, writer: FactWriter) -> None:
    job_id = new_id()
    nats.kill()
    with pytest.raises(Unavailable, match=r"not known to be stored after 0\.2 s"):
        await asyncio.wait_for(writer.append(queued(job_id), after=0, within_s=0.2), DEADLINE_S)
    with pytest.raises(Unavailable):
        await writer.last(job_id)
    with pytest.raises(Unavailable):
        await writer.purge(job_id)
    nats.start()
    assert await writer.append(queued(job_id), after=0) > 0
    assert len(await writer.history(job_id)) == 1


async def test_who_cannot_wait_is_told_in_time_that_nats_hangs(nats: NatsServer, writer: FactWriter) -> None:
    job_id = new_id()
    nats.freeze()
    with pytest.raises(Unavailable, match=r"after 0\.2 s"):
        await asyncio.wait_for(writer.append(queued(job_id), after=0, within_s=0.2), DEADLINE_S)
    nats.thaw()
    with suppress(Fenced):  # by what was on its way
        await writer.append(queued(job_id), after=0)
    assert len(await writer.history(job_id)) == 1


async def test_what_is_too_large_for_nats_is_refused_before_it_is_sent(writer: FactWriter) -> None:
    job_id = new_id()
    place = await writer.append(queued(job_id), after=0)
    with pytest.raises(ProtocolError, match="expected at most 1047552 bytes") as caught:
        await writer.append(fact(job_id, 2, JobCancelled(reason="x" * (1 << 20))), after=place)
    assert caught.value.code is ErrorCode.TOO_LARGE
    nearly = fact(job_id, 2, JobCancelled(reason="x" * ((1 << 20) - 2048)))
    assert await writer.append(nearly, after=place) > place


async def test_a_purged_job_is_gone_and_takes_no_late_facts(
    connection: Connection, names: Names, writer: FactWriter
) -> None:
    job_id, other = new_id(), new_id()
    place = await writer.append(queued(job_id), after=0)
    await writer.append(queued(other), after=0)
    await writer.note(WebhookNote(job_id=job_id, webhook_id="msg_1"))
    removed = await writer.note(RemovedNote(job_id=job_id, key_id="anna", at=AT, reason="expired"))
    await writer.purge(job_id)
    assert await writer.history(job_id) == []
    with pytest.raises(Fenced) as caught:
        await writer.append(started(job_id), after=place)
    assert caught.value.last is None
    assert len(await writer.history(other)) == 1
    state = (await connection.js.stream_info(names.facts_stream)).state
    assert state.messages == 2  # the other job, and the note that this one is gone
    assert (await connection.js.get_msg(names.facts_stream, seq=removed)).data is not None
    await writer.purge(job_id)


async def test_what_is_noted_twice_is_stored_once_and_in_order_with_the_facts(
    connection: Connection, names: Names, writer: FactWriter
) -> None:
    job_id = new_id()
    before = await writer.append(queued(job_id), after=0)
    note = WebhookNote(job_id=job_id, webhook_id="msg_1", given_up="nobody answers")
    place = await writer.note(note)
    assert place > before
    assert await writer.note(note) == place
    raw = await connection.js.get_msg(names.facts_stream, seq=place)
    assert raw.subject == names.note("webhook", job_id)
    assert raw.data is not None
    assert WebhookNote.from_bytes(raw.data) == note


async def test_a_note_of_a_removed_job_goes_by_itself(connection: Connection, names: Names, writer: FactWriter) -> None:
    place = await writer.note(RemovedNote(job_id=new_id(), key_id="anna", at=AT, reason="expired"))
    headers = (await connection.js.get_msg(names.facts_stream, seq=place)).headers or {}
    assert headers[Header.MSG_TTL] == str(REMOVED_NOTE_TTL_S)


async def test_a_note_waits_for_nats_no_longer_than_it_is_told_to(nats: NatsServer, writer: FactWriter) -> None:
    note = RemovedNote(job_id=new_id(), key_id="anna", at=AT, reason="expired")
    nats.kill()
    with pytest.raises(Unavailable, match=r"not known to be stored after 0\.1 s"):
        await writer.note(note, within_s=0.1)
    noting = asyncio.create_task(writer.note(note))
    nats.start()
    assert await asyncio.wait_for(noting, 3 * DEADLINE_S) > 0


async def test_a_stream_that_is_not_there_is_not_taken_for_a_job_without_facts(
    connection: Connection, names: Names, writer: FactWriter
) -> None:
    job_id = new_id()
    await writer.append(queued(job_id), after=0)
    await connection.js.delete_stream(names.facts_stream)
    for reading in (writer.last(job_id), writer.first(job_id), writer.history(job_id)):
        with pytest.raises(Unavailable):
            await reading
    with pytest.raises(Unavailable):
        await writer.append(started(job_id), after=1, within_s=0.1)
