import asyncio
from typing import Any

import pytest

from safelight.conversation import Conversation
from safelight.errors import ConnectionLost, RequestRefused
from safelight.feed import Feed
from safelight.verdict import Broken

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sent(outbox: "asyncio.Queue[Any]") -> list[Any]:
    return [outbox.get_nowait() for _ in range(outbox.qsize())]


async def test_what_is_asked_without_a_socket_is_sent_when_there_is_one_and_again_over_the_next() -> None:
    talk = Conversation()
    with talk.asking({"type": "cancel", "job_id": "a"}) as answer:
        assert talk.is_wanted
        (first,) = sent(talk.begin())
        talk.pause()
        (again,) = sent(talk.begin())
        assert first == again == {"type": "cancel", "job_id": "a", "ref": first["ref"]}
        talk.take({"type": "reply", "ref": again["ref"], "ok": True})
        assert await answer is None
    assert not talk.is_wanted


async def test_a_cancel_that_was_heard_the_first_time_is_no_mistake_the_second_time() -> None:
    refusal = {"type": "reply", "ok": False, "error": {"code": "already_ended", "message": "it has"}}
    talk = Conversation()
    for times in (1, 2):
        with talk.asking({"type": "cancel", "job_id": "a"}) as answer:
            for _ in range(times):
                (message,) = sent(talk.begin())
            talk.take({**refusal, "ref": message["ref"]})
            if times == 1:
                with pytest.raises(RequestRefused):
                    await answer
            else:
                assert await answer is None


async def test_a_server_that_drains_keeps_its_question_for_the_next_one() -> None:
    talk = Conversation()
    with talk.asking({"type": "submit", "job": {}}):
        (message,) = sent(talk.begin())
        with pytest.raises(Broken, match="draining"):
            talk.take(
                {"type": "reply", "ref": message["ref"], "ok": False, "error": {"code": "draining", "message": "stop"}}
            )
        assert sent(talk.begin()) == [message]


async def test_a_question_nobody_waits_for_any_more_is_not_asked_again() -> None:
    talk = Conversation()
    with talk.asking({"type": "cancel", "job_id": "a"}):
        pass
    assert sent(talk.begin()) == []


async def test_who_waits_is_told_when_nothing_will_come() -> None:
    talk, feed = Conversation(), Feed("a")
    talk.subscribe(feed)
    assert talk.feed("a") is feed
    with talk.asking({"type": "cancel", "job_id": "a"}) as answer:
        talk.fail_all(ConnectionLost("gone"))
        for wait in (answer, anext(feed.events())):
            with pytest.raises(ConnectionLost):
                await wait
    assert not talk.is_wanted
