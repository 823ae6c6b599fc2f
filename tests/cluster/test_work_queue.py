"""Work from gateways to workers, over a real NATS: order, fairness, redelivery, outages."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from nats.aio.msg import Msg

from service.cluster.alarm import Alarm
from service.cluster.connection import Connection, Unavailable
from service.cluster.delivery import Delivery
from service.cluster.names import Names, Row, WorkClass
from service.cluster.puller import Puller
from service.cluster.work_publisher import WorkPublisher
from service.cluster.work_queue import WorkQueue
from service.cluster.work_rows import WorkRows, payload
from service.settings import Settings
from tests.cluster.members import eventually, join
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

LOST_S = 1.0
"""A worker silent for so long is lost."""
NORMAL = Row(WorkClass.NORMAL, 0, "spark")


class Work:
    """The gateway's side, and as many workers as a test wants."""

    def __init__(self, connection: Connection, names: Names, lost_s: float) -> None:
        self.connection = connection
        self.names = names
        self.lost_s = lost_s
        self.rows = WorkRows(connection, names, worker_lost_s=lost_s)
        self.gateway = self.another_gateway()

    def another_gateway(self) -> WorkPublisher:
        return WorkPublisher(self.connection, self.names, self.rows)

    def worker(self, **options: Any) -> WorkQueue:
        return WorkQueue(self.connection, self.names, self.rows, worker_lost_s=self.lost_s, **options)

    async def waiting(self, queue: WorkQueue, wait_s: float = DEADLINE_S) -> "asyncio.Task[Delivery | None]":
        """Let an idle worker wait for work; returns when it sleeps."""
        waiting = asyncio.create_task(take(queue, wait_s))
        await eventually(lambda: queue.is_waiting, "the worker to sleep")
        return waiting

    async def add(self, row: Row, *job_ids: str) -> None:
        for job_id in job_ids:
            assert await self.gateway.add(job_id, row, model=row.model)


@pytest.fixture
async def work(connection: Connection, names: Names, settings: Settings) -> Work:
    await join(connection, names, settings)
    return Work(connection, names, LOST_S)


@pytest.fixture
async def calm(connection: Connection, names: Names, settings: Settings) -> Work:
    """Work of which nothing is redelivered while a test lasts."""
    await join(connection, names, settings)
    return Work(connection, names, 30.0)


async def take(queue: WorkQueue, wait_s: float = DEADLINE_S, *, warm: str = "", wants: str = "") -> Delivery | None:
    return await queue.next(
        serves=lambda row: True,
        warm=lambda row: row.model == warm,
        wants=lambda work_class: not wants or work_class == wants,
        wait_s=wait_s,
    )


async def taken(queue: WorkQueue, count: int, *, warm: str = "") -> list[str]:
    """The ids of the next jobs, each done with before the next is taken."""
    found = []
    for _ in range(count):
        delivery = await take(queue, warm=warm)
        assert delivery is not None
        await delivery.done()
        found.append(delivery.job_id)
    return found


async def test_a_worker_takes_interactive_work_before_high_before_normal_before_low(calm: Work) -> None:
    for work_class in (WorkClass.LOW, WorkClass.NORMAL, WorkClass.HIGH, WorkClass.INTERACTIVE):
        await calm.add(Row(work_class, 0, "spark"), work_class.value)
    assert await taken(calm.worker(), 4) == ["interactive", "high", "normal", "low"]


async def test_more_urgent_work_of_a_cold_model_goes_before_work_of_a_warm_one(calm: Work) -> None:
    await calm.add(Row(WorkClass.NORMAL, 0, "warm"), "n")
    await calm.add(Row(WorkClass.HIGH, 0, "cold"), "h")
    assert await taken(calm.worker(), 2, warm="warm") == ["h", "n"]


async def test_within_a_class_a_model_in_memory_goes_first(calm: Work) -> None:
    await calm.add(Row(WorkClass.NORMAL, 0, "cold"), "c1", "c2")
    await calm.add(Row(WorkClass.NORMAL, 1, "warm"), "w1", "w2")
    assert await taken(calm.worker(), 4, warm="warm") == ["w1", "w2", "c1", "c2"]


async def test_work_of_a_cold_model_nobody_takes_is_not_put_off_for_ever(calm: Work) -> None:
    await calm.add(Row(WorkClass.NORMAL, 0, "cold"), "cold")
    await calm.add(Row(WorkClass.NORMAL, 1, "warm"), *(f"w{n}" for n in range(5)))
    impatient = calm.worker(patience_s=0.0)
    assert "cold" in await taken(impatient, 2, warm="warm")


async def test_a_hundred_jobs_of_one_key_do_not_hold_up_the_one_of_another(calm: Work) -> None:
    await calm.add(Row(WorkClass.NORMAL, 0, "spark"), *(f"a{n}" for n in range(100)))
    ahead_s = 0.0
    queue = calm.worker(clock=lambda: time.monotonic() + ahead_s)
    await taken(queue, 10)
    await calm.add(Row(WorkClass.NORMAL, 2, "spark"), "b")
    ahead_s = 0.3  # what NATS listed before is believed for a quarter of a second
    assert await taken(queue, 1) == ["b"]


async def test_shares_are_served_in_turn(calm: Work) -> None:
    for share in range(3):
        await calm.add(Row(WorkClass.NORMAL, share, "spark"), *(f"{share}{n}" for n in range(4)))
    found = [job_id[0] for job_id in await taken(calm.worker(), 12)]
    assert [sorted(found[at : at + 3]) for at in range(0, 12, 3)] == [["0", "1", "2"]] * 4


async def test_a_key_with_work_for_many_models_gets_no_more_turns_than_another(calm: Work) -> None:
    for share, model in ((0, "m1"), (0, "m2"), (0, "m3"), (1, "m1")):
        await calm.add(Row(WorkClass.NORMAL, share, model), *(f"{share}-{model}-{n}" for n in range(4)))
    found = [job_id[0] for job_id in await taken(calm.worker(), 8)]
    assert [sorted(found[at : at + 2]) for at in range(0, 8, 2)] == [["0", "1"]] * 4


async def test_what_a_worker_hands_back_it_may_take_at_once(calm: Work) -> None:
    await calm.add(NORMAL, "j")
    queue = calm.worker()
    delivery = await take(queue)
    assert delivery is not None
    await delivery.hand_back()
    again = await take(queue, wait_s=0)
    assert again is not None
    assert (again.job_id, again.deliveries) == ("j", 2)


async def test_jobs_of_a_row_are_taken_in_the_order_they_came(calm: Work) -> None:
    await calm.add(NORMAL, *(f"j{n}" for n in range(20)))
    assert await taken(calm.worker(), 20) == [f"j{n}" for n in range(20)]


async def test_a_worker_takes_only_what_it_serves_and_wants(calm: Work) -> None:
    await calm.add(Row(WorkClass.HIGH, 0, "other"), "other")
    await calm.add(Row(WorkClass.LOW, 0, "spark"), "low")
    await calm.add(Row(WorkClass.NORMAL, 0, "spark"), "normal")
    delivery = await calm.worker().next(
        serves=lambda row: row.model == "spark",
        warm=lambda row: True,
        wants=lambda work_class: work_class is not WorkClass.NORMAL,
        wait_s=0,
    )
    assert delivery is not None
    assert delivery.job_id == "low"


async def test_a_delivery_says_which_job_of_which_row_it_is(calm: Work) -> None:
    await calm.add(NORMAL, "j")
    delivery = await take(calm.worker())
    assert delivery is not None
    assert (delivery.job_id, delivery.row, delivery.deliveries) == ("j", NORMAL, 1)


async def test_four_workers_share_the_jobs_without_one_being_taken_twice(calm: Work) -> None:
    for share in range(2):
        await calm.add(Row(WorkClass.NORMAL, share, "spark"), *(f"{share}-{n}" for n in range(20)))

    async def drain(queue: WorkQueue) -> list[str]:
        found = []
        while (delivery := await take(queue, 0)) is not None:
            found.append(delivery.job_id)
            await delivery.done()
        return found

    found = await asyncio.gather(*(drain(calm.worker()) for _ in range(4)))
    counted = Counter(job_id for part in found for job_id in part)
    assert counted == Counter(f"{share}-{n}" for share in range(2) for n in range(20))
    assert all(found)


async def test_without_work_the_wait_ends_in_time(calm: Work) -> None:
    started_at = time.monotonic()
    assert await take(calm.worker(), 0.3) is None
    assert 0.3 <= time.monotonic() - started_at < 2


async def test_an_idle_worker_is_woken_by_new_work(calm: Work) -> None:
    queue = calm.worker()
    await calm.add(NORMAL, "first")
    await taken(queue, 1)  # from now on it knows the row
    waits: list[float] = []
    for number in range(4):
        waiting = await calm.waiting(queue)
        started_at = time.monotonic()
        await calm.add(NORMAL, f"j{number}")
        delivery = await waiting
        waits.append(time.monotonic() - started_at)
        assert delivery is not None
        await delivery.done()
    # A sleep lasts a second; woken, it is over at once.
    assert min(waits) < 0.2
    assert sum(waits) < 1.5


async def test_workers_of_other_models_are_not_woken_in_place_of_one_that_serves_it(calm: Work) -> None:
    idle = [calm.worker() for _ in range(3)]
    others = [
        asyncio.create_task(queue.next(lambda _: False, lambda _: False, lambda _: True, DEADLINE_S, models=["x"]))
        for queue in idle
    ]
    queue = calm.worker()
    waiting = asyncio.create_task(
        queue.next(lambda _: True, lambda _: False, lambda _: True, DEADLINE_S, models=["spark"])
    )
    await eventually(lambda: all(one.is_waiting for one in [*idle, queue]), "all to sleep")
    started_at = time.monotonic()
    await calm.add(NORMAL, "j")
    assert await waiting is not None
    assert time.monotonic() - started_at < 0.6
    for other in others:
        other.cancel()


async def test_all_idle_workers_are_at_work_soon_after_several_jobs_come_at_once(calm: Work) -> None:
    queues = [calm.worker() for _ in range(4)]
    await calm.add(NORMAL, "first")
    await taken(queues[0], 1)
    waiting = [await calm.waiting(queue) for queue in queues]
    started_at = time.monotonic()
    await calm.add(NORMAL, "a", "b", "c", "d")
    found = {delivery.job_id for delivery in await asyncio.gather(*waiting) if delivery is not None}
    assert found == {"a", "b", "c", "d"}
    assert time.monotonic() - started_at < 0.6


async def test_an_idle_worker_that_finds_more_work_than_it_takes_wakes_another(calm: Work) -> None:
    await calm.add(NORMAL, "first")
    await taken(calm.worker(), 1)
    waiting = [await calm.waiting(calm.worker()) for _ in range(3)]
    started_at = time.monotonic()
    for job_id in ("a", "b", "c"):  # as if the wakes of all had gone to the same worker
        await calm.connection.js.publish(calm.names.work(NORMAL, job_id), payload(job_id))
    await calm.rows.wake(NORMAL)
    found = {delivery.job_id for delivery in await asyncio.gather(*waiting) if delivery is not None}
    assert found == {"a", "b", "c"}
    assert time.monotonic() - started_at < 0.6


async def test_a_wake_that_comes_to_a_worker_that_has_just_found_work_goes_to_another(calm: Work) -> None:
    def alarm() -> Alarm:
        return Alarm(calm.connection, calm.names, calm.rows, models=["spark"], may_take=lambda _: True)

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(alarm())
        await calm.rows.wake(NORMAL)
        assert await first.wait(DEADLINE_S)
        async with alarm() as second:
            await stack.aclose()
            assert await second.wait(DEADLINE_S)
            assert second.take() == {NORMAL}


# ---- redelivery ----------------------------------------------------------------------------------------------


async def test_the_job_of_a_worker_that_falls_silent_goes_to_another(work: Work) -> None:
    await work.add(NORMAL, "j")
    first = await take(work.worker())
    assert first is not None
    started_at = time.monotonic()
    second = await take(work.worker())
    assert second is not None
    assert (second.job_id, second.deliveries) == ("j", 2)
    assert 0.5 * LOST_S < time.monotonic() - started_at < 3 * LOST_S


async def test_a_job_whose_worker_beats_stays_with_it(work: Work) -> None:
    await work.add(NORMAL, "j")
    first = await take(work.worker())
    assert first is not None

    async def beat() -> None:
        while True:
            await first.beat()
            await asyncio.sleep(LOST_S / 4)

    beating = asyncio.create_task(beat())
    try:
        assert await take(work.worker(), 2.5 * LOST_S) is None
    finally:
        beating.cancel()


async def test_a_job_handed_back_goes_to_a_waiting_worker_at_once(calm: Work) -> None:
    await calm.add(NORMAL, "j")
    first = await take(calm.worker())
    assert first is not None
    waiting = await calm.waiting(calm.worker())
    started_at = time.monotonic()
    await first.hand_back()
    second = await waiting
    assert second is not None
    assert (second.job_id, second.deliveries) == ("j", 2)
    assert time.monotonic() - started_at < 0.6


async def test_a_job_handed_back_with_a_delay_comes_after_it(work: Work) -> None:
    await work.add(NORMAL, "j")
    queue = work.worker()
    first = await take(queue)
    assert first is not None
    started_at = time.monotonic()
    await first.hand_back(0.4)
    assert await take(work.worker()) is not None
    assert time.monotonic() - started_at >= 0.4


async def test_a_job_that_is_done_never_comes_again(work: Work) -> None:
    await work.add(NORMAL, "j")
    queue = work.worker()
    await taken(queue, 1)
    assert await take(queue, 1.5 * LOST_S) is None
    assert await work.gateway.jobs() == set()


async def test_a_job_that_arrives_in_the_moment_its_taker_is_cancelled_goes_to_another(calm: Work) -> None:
    class Hasty(Puller):
        async def _take(self, message: Msg) -> None:
            await super()._take(message)
            taking.cancel()

    await calm.add(NORMAL, "j")
    puller = Hasty(calm.connection, answer_s=DEADLINE_S)
    taking = asyncio.create_task(puller.next(calm.names.work_stream, calm.names.consumer(NORMAL)))
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await taken(calm.worker(), 1) == ["j"]


async def test_a_job_that_arrives_after_its_taker_was_cancelled_goes_to_another(calm: Work) -> None:
    await calm.add(NORMAL, "j")
    puller = Puller(calm.connection, answer_s=DEADLINE_S)
    await puller.next(calm.names.work_stream, "none")  # so that it listens
    taking = asyncio.create_task(puller.next(calm.names.work_stream, calm.names.consumer(NORMAL)))
    await asyncio.sleep(0)  # it has asked
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await taken(calm.worker(), 1) == ["j"]


async def test_a_job_in_the_hands_of_a_worker_that_is_cancelled_goes_to_another(calm: Work) -> None:
    class Slow(WorkRows):
        async def wake(self, row: Row) -> None:
            holding.set()
            await asyncio.Event().wait()

    holding = asyncio.Event()
    await calm.add(NORMAL, "a", "b")
    slow = Slow(calm.connection, calm.names, worker_lost_s=calm.lost_s)
    hasty = WorkQueue(calm.connection, calm.names, slow, worker_lost_s=calm.lost_s)
    taking = asyncio.create_task(take(hasty))
    await holding.wait()
    slow.wake = calm.rows.wake  # type: ignore[method-assign]
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert set(await taken(calm.worker(), 2)) == {"a", "b"}


# ---- the gateway's side --------------------------------------------------------------------------------------


async def test_adding_the_same_attempt_again_adds_nothing(calm: Work) -> None:
    assert await calm.gateway.add("j", NORMAL, attempt=1, model="spark")
    assert not await calm.gateway.add("j", NORMAL, attempt=1, model="spark")
    assert await calm.gateway.add("j", NORMAL, attempt=2, model="spark")
    assert await calm.gateway.depth() == {NORMAL: 2}


async def test_two_gateways_may_make_the_same_row_at_once(calm: Work) -> None:
    gateways = [calm.another_gateway() for _ in range(4)]
    await asyncio.gather(
        *(gateway.add(f"j{n}-{k}", NORMAL, model="spark") for n, gateway in enumerate(gateways) for k in range(5))
    )
    (state,) = await calm.gateway.states()
    assert (state.row, state.pending, state.model) == (NORMAL, 20, "spark")


async def test_withdrawn_work_is_gone_and_other_work_is_not(calm: Work) -> None:
    await calm.add(NORMAL, "a", "b")
    await calm.add(Row(WorkClass.HIGH, 3, "other"), "c")
    assert await calm.gateway.withdraw("a")
    assert not await calm.gateway.withdraw("a")
    assert await calm.gateway.jobs() == {"b", "c"}
    assert await taken(calm.worker(), 2) == ["c", "b"]


async def test_jobs_are_listed_until_they_are_done(calm: Work) -> None:
    await calm.add(NORMAL, "a", "b")
    delivery = await take(calm.worker())
    assert delivery is not None
    assert await calm.gateway.jobs() == {"a", "b"}
    assert await calm.gateway.depth() == {NORMAL: 1}
    await delivery.done()
    assert await calm.gateway.jobs() == {"b"}


async def test_lists_longer_than_a_page_are_whole(calm: Work) -> None:
    rows = [Row(WorkClass.LOW, share, f"m{n}") for n in range(75) for share in range(4)]
    await asyncio.gather(*(calm.gateway.add(f"j-{row.model}-{row.share}", row, model=row.model) for row in rows))
    assert await calm.gateway.depth() == dict.fromkeys(rows, 1)


async def test_rows_out_of_use_are_removed_and_others_are_not(calm: Work) -> None:
    used = Row(WorkClass.HIGH, 0, "used")
    await calm.add(NORMAL, "a")
    await calm.add(used, "b")
    for _ in range(2):
        assert await calm.gateway.clean_up(idle_s=0, now=lambda: time.time() + 10) == 0
    delivery = await take(calm.worker(), wants=WorkClass.NORMAL)
    assert delivery is not None
    assert await calm.gateway.clean_up(idle_s=0, now=lambda: time.time() + 10) == 0, "one is at a worker"
    await delivery.done()
    assert await calm.gateway.clean_up() == 0, "it was used just now"
    assert await calm.gateway.clean_up(idle_s=0, now=lambda: time.time() + 10) == 1
    assert [state.row for state in await calm.gateway.states()] == [used]
    await calm.add(NORMAL, "again")
    assert set(await taken(calm.worker(), 2)) == {"b", "again"}


async def test_work_whose_row_another_gateway_removed_is_seen_after_the_next_clean_up(calm: Work) -> None:
    await calm.add(NORMAL, "a")
    await taken(calm.worker(), 1)
    await calm.rows.remove(NORMAL)
    await calm.add(NORMAL, "b")  # this gateway believes that there is a consumer
    queue = calm.worker()
    assert await take(queue, 0) is None
    await calm.gateway.clean_up()
    assert await taken(queue, 1) == ["b"]


# ---- NATS away -----------------------------------------------------------------------------------------------


async def test_no_work_is_lost_when_nats_is_killed(nats: NatsServer, work: Work) -> None:
    await work.add(NORMAL, *(f"j{n}" for n in range(20)))
    queue = work.worker()
    ended = set(await taken(queue, 5))
    held = await take(queue)
    assert held is not None
    nats.kill()
    await eventually(lambda: not work.connection.is_connected, "the connection to break")
    for outcome in (
        take(queue, 0),
        held.beat(),
        held.done(),
        held.hand_back(),
        work.gateway.add("x", NORMAL, model="m"),
    ):
        with pytest.raises(Unavailable):
            await outcome
    await nats.start_beside()
    await work.connection.until_connected()
    while len(ended) < 20:
        try:
            delivery = await take(queue)
            assert delivery is not None
            await delivery.done()
        except Unavailable:
            continue
        ended.add(delivery.job_id)
    assert ended == {f"j{n}" for n in range(20)}


async def test_a_waiting_worker_says_that_nats_is_away_and_waits_on_when_it_is_back(
    nats: NatsServer, work: Work
) -> None:
    queue = work.worker()
    await work.add(NORMAL, "first")
    await taken(queue, 1)
    waiting = await work.waiting(queue, 10 * DEADLINE_S)
    nats.kill()
    with pytest.raises(Unavailable):
        await waiting
    await nats.start_beside()
    await work.connection.until_connected()
    await work.add(NORMAL, "j")
    assert await taken(queue, 1) == ["j"]


async def test_a_nats_that_hangs_holds_nobody_up_for_long(nats: NatsServer, calm: Work) -> None:
    await calm.add(NORMAL, "j")
    nats.freeze()
    try:
        started_at = time.monotonic()
        with pytest.raises(Unavailable):
            await take(calm.worker(), 0)
        assert time.monotonic() - started_at < 4
    finally:
        nats.thaw()
