import asyncio
import threading

import pytest

from service.whole import whole
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_gives_what_the_call_gave_or_raised() -> None:
    assert await whole(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await whole(divmod, 1, 0)


async def test_who_is_cancelled_goes_when_the_call_has_ended_however_often_he_is_asked() -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert release.wait(DEADLINE_S)
        ended.set()
        raise OSError("nobody hears of it")

    working = asyncio.create_task(whole(work))
    assert await asyncio.to_thread(begun.wait, DEADLINE_S)
    for _ in range(2):
        working.cancel()
        assert await asyncio.wait([working], timeout=0) == (set(), {working})
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert ended.is_set()
