import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import body_fields
from protocol.events import (
    EventBody,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    QueueMoved,
    StepFinished,
)
from protocol.requests import Priority, TaskName
from safelight.errors import ConnectionLost
from safelight.feed import Feed, Gap

pytestmark = pytest.mark.anyio
Wire = Callable[..., dict[str, Any]]

QUEUED = JobQueued(task=TaskName.UPSCALE, priority=Priority.NORMAL)
STARTED = JobStarted(worker="w", device="cpu", attempt=1)
WARNED = JobWarning(code="c", message="m")
SUCCEEDED = JobSucceeded(duration_s=1.0)


def step(number: int) -> StepFinished:
    return StepFinished(image=0, step=number, steps=9, progress=number / 9)


async def test_a_fact_that_comes_twice_is_kept_once(wire: Wire) -> None:
    feed = Feed("j")
    assert feed.offer(wire(QUEUED, 1)) is True
    assert feed.offer(wire(QUEUED, 1)) is False
    assert len(feed.facts) == 1


async def test_a_fact_after_a_missing_one_is_refused_and_not_kept(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    with pytest.raises(Gap):
        feed.offer(wire(WARNED, 3))
    assert feed.seq == 1


async def test_a_hint_that_follows_a_missing_fact_shows_the_gap(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    with pytest.raises(Gap):
        feed.offer(wire(step(1), 2, n=1))


async def test_an_older_hint_does_not_replace_a_newer_one(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.offer(wire(step(5), 1, n=5))
    assert feed.offer(wire(step(4), 1, n=4)) is False
    assert feed.hints["step.finished"].n == 5


async def test_after_a_restart_hints_may_count_anew(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.offer(wire(QueueMoved(position=4), 1, n=9))
    feed.resuming()
    assert feed.offer(wire(QueueMoved(position=1), 1, n=1)) is True


async def test_a_hint_repeated_after_a_reconnection_is_no_news(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.offer(wire(step(5), 1, n=5))
    feed.resuming()
    assert feed.offer(wire(step(5), 1, n=5)) is False


async def test_a_slow_reader_gets_every_fact_and_the_newest_hints_in_order(wire: Wire) -> None:
    feed = Feed("j")
    events = feed.events()
    feed.offer(wire(QUEUED, 1))
    assert (await anext(events)).type == "job.queued"
    feed.offer(wire(STARTED, 2))
    for number in (1, 2, 3):
        feed.offer(wire(step(number), 2, n=number))
    feed.offer(wire(SUCCEEDED, 3))
    seen = [(event.type, event.n) async for event in events]
    assert seen == [("job.started", None), ("step.finished", 3), ("job.succeeded", None)]


async def test_a_reader_begins_after_the_fact_it_names_also_for_facts_still_to_come(wire: Wire) -> None:
    feed = Feed("j")
    events = feed.events(after=2)
    first = anext(events)
    for seq, body in enumerate((QUEUED, STARTED, WARNED, SUCCEEDED), start=1):
        feed.offer(wire(body, seq))
    assert [(await first).seq, *[event.seq async for event in events]] == [3, 4]


async def test_a_failed_feed_hands_out_what_it_has_and_then_the_error(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.fail(ConnectionLost("gone"))
    events = feed.events()
    assert (await anext(events)).seq == 1
    with pytest.raises(ConnectionLost):
        await anext(events)
    with pytest.raises(ConnectionLost):
        await feed.wait()


async def test_nothing_comes_after_the_end(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.offer(wire(SUCCEEDED, 2))
    assert feed.offer(wire(step(1), 2, n=1)) is False
    feed.fail(ConnectionLost("too late"))
    await feed.wait()


async def test_the_counter_of_hints_begins_anew_with_an_attempt(wire: Wire) -> None:
    feed = Feed("j")
    feed.offer(wire(QUEUED, 1))
    feed.offer(wire(STARTED, 2))
    feed.offer(wire(step(3), 2, n=3))
    assert feed.last_n == 3
    feed.offer(wire(JobRequeued(attempt=2, reason="stopped"), 3))
    assert feed.last_n == 0


def story() -> list[dict[str, Any]]:
    def at(body: EventBody, seq: int, n: int | None = None) -> dict[str, Any]:
        mark = {} if n is None else {"n": n, "attempt": 1}
        return {"type": body.TYPE, "job_id": "j", "seq": seq, "at": "t", **mark, "data": body_fields(body)}

    middle = [at(step(n), 2, n) for n in range(1, 6)]
    return [at(QUEUED, 1), at(STARTED, 2), *middle, at(WARNED, 3), at(step(6), 3, 6), at(SUCCEEDED, 4)]


@given(seed=st.integers(0, 2**32))
def test_whatever_is_lost_and_repeated_on_the_way_facts_arrive_once_and_in_order(seed: int) -> None:
    """A connection that loses and repeats at random, and is resumed after every gap, until the end is there."""
    chance = random.Random(seed)
    feed, events = Feed("j"), story()
    while not feed.has_ended:
        feed.resuming()
        for event in [event for event in events if event["seq"] > feed.seq or "n" in event]:
            if chance.random() < 0.2:
                continue
            try:
                feed.offer(event)
                if chance.random() < 0.3:
                    feed.offer(event)
            except Gap:
                break
    assert [fact.seq for fact in feed.facts] == [1, 2, 3, 4]
