from collections.abc import Callable
from typing import Any

import pytest

from protocol.events import JobQueued, JobRemoved, JobSucceeded, QueueMoved
from protocol.requests import Priority, TaskName
from safelight.errors import RequestRefused
from safelight.feed import Gap
from safelight.mine import MineFeed

pytestmark = pytest.mark.anyio
Wire = Callable[..., dict[str, Any]]
QUEUED = JobQueued(task=TaskName.UPSCALE, priority=Priority.NORMAL)
SUCCEEDED = JobSucceeded(duration_s=1.0)


async def test_it_resumes_from_the_cursor_of_the_last_fact_that_came(wire: Wire) -> None:
    feed = MineFeed()
    assert feed.subscription() == {"type": "subscribe", "jobs": "mine"}
    feed.subscribed("start")
    assert feed.subscription()["cursor"] == "start"
    feed.offer(wire(QUEUED, 1, job_id="a"))
    feed.offer(wire(QueueMoved(position=1), 1, n=1, job_id="a"))
    assert feed.subscription()["cursor"] == "a:1"


async def test_its_own_cursor_is_that_of_the_last_fact_that_was_read(wire: Wire) -> None:
    feed = MineFeed("begin")
    feed.offer(wire(QUEUED, 1, job_id="a"))
    feed.offer(wire(SUCCEEDED, 2, job_id="a"))
    assert feed.cursor == "begin"
    await anext(feed)
    assert feed.cursor == "a:1"


async def test_jobs_may_be_met_in_the_middle_but_then_without_gap_or_repeat(wire: Wire) -> None:
    feed = MineFeed("c")
    assert feed.offer(wire(QUEUED, 4, job_id="a")) is True
    assert feed.offer(wire(QUEUED, 4, job_id="a")) is False
    assert feed.offer(wire(QUEUED, 1, job_id="b")) is True
    with pytest.raises(Gap):
        feed.offer(wire(SUCCEEDED, 6, job_id="a"))


async def test_a_removed_job_is_told_of_after_its_end_and_moves_no_cursor(wire: Wire) -> None:
    feed = MineFeed("c")
    feed.offer(wire(QUEUED, 1, job_id="a"))
    feed.offer(wire(SUCCEEDED, 2, job_id="a"))
    assert feed.offer(wire(JobRemoved(reason="asked"), 2, n=2**53 - 1, job_id="a")) is True
    assert [(await anext(feed)).type for _ in range(3)] == ["job.queued", "job.succeeded", "job.removed"]
    assert (feed.cursor, feed.subscription()["cursor"]) == ("a:2", "a:2")


async def test_a_refused_cursor_is_told_to_the_reader() -> None:
    feed = MineFeed("old")
    feed.fail(RequestRefused("cursor_expired", "too old"))
    with pytest.raises(RequestRefused) as refusal:
        await anext(feed)
    assert refusal.value.status == 410
