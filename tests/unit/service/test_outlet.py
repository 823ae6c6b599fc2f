import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.events import Event, JobRequeued, JobSucceeded, JobWarning, ModelAdded, QueueMoved, StepFinished
from service.outlet import BufferedOutlet, Coalescing, Lagging

pytestmark = pytest.mark.anyio
AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def step(n: int, job: str = "a", seq: int = 2) -> Event:
    body = StepFinished(image=0, step=n, steps=99, progress=n / 99)
    return Event(body, job_id=job, seq=seq, at=AT, attempt=1, n=n)


def moved(n: int, job: str = "a") -> Event:
    return Event(QueueMoved(position=n), job_id=job, seq=1, at=AT, attempt=1, n=n)


def fact(seq: int, job: str = "a") -> Event:
    return Event(JobWarning(code=str(seq), message=""), job_id=job, seq=seq, at=AT, cursor=f"c-{seq}")


def end(seq: int, job: str = "a") -> Event:
    return Event(JobSucceeded(duration_s=1), job_id=job, seq=seq, at=AT, cursor=f"c-{seq}")


def requeued(seq: int, job: str = "a") -> Event:
    return Event(JobRequeued(attempt=2, reason="x"), job_id=job, seq=seq, at=AT, cursor=f"c-{seq}")


async def test_facts_are_kept_and_of_hints_only_the_newest_of_each_job_and_type() -> None:
    outlet = BufferedOutlet(10)
    events = [fact(1), step(1), step(2), moved(3), step(4, "b"), fact(2), step(5)]
    for event in events:
        outlet.offer(event)
    assert await outlet.take() == [fact(1), moved(3), step(4, "b"), fact(2), step(5)]
    assert len(outlet) == 0


async def test_the_end_of_one_models_download_does_not_hide_that_of_another() -> None:
    told = [Event(ModelAdded(model=name, size_bytes=1), at=AT, n=n) for n, name in enumerate("aba", 1)]
    outlet, waiting = BufferedOutlet(10), Coalescing()
    for event in told:
        outlet.offer(event)
        waiting.put(event)
    assert await outlet.take() == waiting.take() == told[1:]


async def test_hints_of_an_ended_job_or_attempt_are_forgotten() -> None:
    for last in (end(2), requeued(2)):
        outlet = BufferedOutlet(10)
        for event in (step(1), step(1, "b"), last):
            outlet.offer(event)
        assert await outlet.take() == [step(1, "b"), last]


async def test_a_reader_with_too_many_unread_facts_is_cut_off_and_takes_nothing_more() -> None:
    outlet = BufferedOutlet(2)
    for number in range(1, 4):
        outlet.offer(fact(number))
    assert outlet.is_lagging
    outlet.offer(step(1))
    assert len(outlet) == 0
    with pytest.raises(Lagging):
        await outlet.take()


async def test_hints_never_make_a_reader_lag() -> None:
    outlet = BufferedOutlet(1)
    for number in range(1000):
        outlet.offer(step(number, job=str(number % 3)))
    assert not outlet.is_lagging
    assert len(outlet) == 3


async def test_taking_makes_room_for_as_many_facts_again() -> None:
    outlet = BufferedOutlet(2)
    for number in range(10):
        outlet.offer(fact(2 * number + 1))
        outlet.offer(fact(2 * number + 2))
        assert len(await outlet.take()) == 2


async def test_one_event_through_two_subscriptions_is_told_once() -> None:
    outlet = BufferedOutlet(1)
    same = fact(1)
    outlet.offer(same)
    outlet.offer(same)
    assert await outlet.take() == [same]


async def test_a_reader_waits_until_there_is_something() -> None:
    outlet = BufferedOutlet(2)
    reading = asyncio.create_task(outlet.take())
    await asyncio.sleep(0)
    assert not reading.done()
    outlet.offer(fact(1))
    assert await reading == [fact(1)]


async def test_a_closed_outlet_lets_its_reader_go() -> None:
    outlet = BufferedOutlet(2)
    reading = asyncio.create_task(outlet.take())
    await asyncio.sleep(0)
    outlet.close()
    with pytest.raises(Lagging):
        await reading


async def test_a_replay_waits_until_half_is_read_or_nobody_reads() -> None:
    for release in ("take", "close"):
        outlet = BufferedOutlet(4)
        await outlet.room()
        for number in range(1, 4):
            outlet.offer(fact(number))
        waiting = asyncio.create_task(outlet.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        if release == "take":
            await outlet.take()
        else:
            outlet.close()
        await asyncio.wait_for(waiting, 5)


@given(st.lists(st.one_of(
    st.builds(lambda job, n: ("hint", job, n), st.sampled_from("abc"), st.integers(1, 5)),
    st.builds(lambda job: ("end", job, 0), st.sampled_from("abc")),
)))  # fmt: skip
def test_held_back_hints_are_the_newest_of_jobs_that_go_on(told: list[tuple[str, str, int]]) -> None:
    held, expected = Coalescing(), {}
    for kind, job, n in told:
        if kind == "hint":
            held.put(step(n, job))
            expected.pop(job, None)
            expected[job] = step(n, job)
        else:
            held.outdate(end(9, job))
            expected.pop(job, None)
    assert len(held) == len(expected)
    assert held.take() == list(expected.values())
    assert held.take() == []
