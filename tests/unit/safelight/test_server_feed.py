import asyncio
from typing import Any

import pytest

from protocol.events import ModelAdded, ModelLoaded
from safelight.errors import ServerUnreachable
from safelight.server_feed import ServerFeed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def told(kind: str, **data: object) -> dict[str, Any]:
    return {"type": kind, "at": "2026-01-01T00:00:00.000Z", "n": 1, "data": data}


async def test_it_hands_on_what_the_server_tells_of_itself_and_nothing_else() -> None:
    feed = ServerFeed()
    assert feed.subscription() == {"type": "subscribe", "topic": "server"}
    assert not feed.offer({**told("job.warning", code="x", message="y"), "job_id": "a", "seq": 1})
    assert not feed.offer(told("model.dreamt", model="a"))
    assert feed.offer(told("model.loaded", model="a", device="cpu"))
    assert feed.offer(told("model.added", model="b", size_bytes=7))
    assert (await anext(feed)).body == ModelLoaded(model="a", device="cpu")
    assert (await anext(feed)).body == ModelAdded(model="b", size_bytes=7)


async def test_it_has_begun_when_the_server_has_agreed_and_goes_on_when_the_connection_was_made_again() -> None:
    feed = ServerFeed()
    waits, order = asyncio.Event(), list[str]()

    async def begin() -> None:
        waits.set()
        await feed.begun()
        order.append("begun")

    beginning = asyncio.create_task(begin())
    await waits.wait()
    order.append("agreed")
    feed.subscribed(None)
    await beginning
    assert order == ["agreed", "begun"]
    feed.resuming()
    assert feed.offer(told("model.loaded", model="a", device="cpu"))


async def test_a_refusal_is_told_to_whoever_waits_for_the_beginning_or_reads() -> None:
    feed = ServerFeed()
    feed.fail(ServerUnreachable("http://nowhere", "refused"))
    assert feed.has_ended
    for wait in (feed.begun(), anext(feed)):
        with pytest.raises(ServerUnreachable):
            await wait
    assert not feed.offer(told("model.loaded", model="a", device="cpu"))
