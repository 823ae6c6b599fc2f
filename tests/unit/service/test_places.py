"""Places in the queue, with others who accept jobs too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protocol.errors import ErrorCode
from protocol.requests import Priority, TaskName
from service.admission import Admission, Waiting
from service.errors import ServiceError
from service.places import Places

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Others:
    """Other gateways: what they have accepted is known here once nobody else may accept any."""

    unseen_jobs = 3

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.accepted: list[Waiting] = []
        self.waited_for: list[str | None] = []

    @asynccontextmanager
    async def alone(self, key_id: str | None) -> AsyncIterator[None]:
        self.waited_for.append(key_id)
        while self.accepted:
            self.admission.add(self.accepted.pop())
        yield


class Desk:
    def __init__(self, *, most: int = 100, most_of_key: int = 100) -> None:
        self.admission = Admission()
        self.others = Others(self.admission)
        self.places = Places(self.admission, self.others, most=most, most_of_key=most_of_key)  # type: ignore[arg-type] # all it uses
        self._number = 0

    async def accept(self, key_id: str = "a") -> None:
        waiting = self.waiting(key_id)
        self.places.hold(waiting.job_id, key_id)
        try:
            async with self.places.taken(key_id):
                self.admission.add(waiting)
        finally:
            self.places.release(waiting.job_id)

    def waiting(self, key_id: str = "a") -> Waiting:
        self._number += 1
        return Waiting(f"job{self._number}", key_id, TaskName.TEST_PATTERN, True, Priority.NORMAL, self._number)


async def test_while_there_are_many_places_nobody_waits_for_others() -> None:
    desk = Desk()
    await desk.accept()
    assert desk.others.waited_for == []


async def test_the_last_places_of_a_key_are_given_away_one_at_a_time() -> None:
    desk = Desk(most_of_key=2)
    await desk.accept()
    await desk.accept()
    with pytest.raises(ServiceError) as refusal:
        await desk.accept()
    assert refusal.value.code is ErrorCode.QUEUE_FULL
    assert desk.others.waited_for == ["a", "a"]  # the third was refused at sight
    await desk.accept("b")


async def test_a_place_that_another_gateway_has_given_away_is_gone() -> None:
    desk = Desk(most_of_key=1)
    desk.others.accepted.append(desk.waiting())
    with pytest.raises(ServiceError):
        await desk.accept()
    assert desk.admission.taken == 1  # the other's, and no promise is left behind


async def test_the_last_places_of_all_are_waited_for_whoever_wants_them() -> None:
    desk = Desk(most=2)
    await desk.accept("a")
    await desk.accept("b")
    with pytest.raises(ServiceError):
        await desk.accept("c")
    assert desk.others.waited_for == [None, None]


async def test_a_place_promised_to_one_is_not_given_to_another() -> None:
    desk = Desk(most=1)
    desk.places.hold("x", "a")
    with pytest.raises(ServiceError):
        desk.places.hold("y", "b")
    desk.places.release("x")
    await desk.accept("b")
