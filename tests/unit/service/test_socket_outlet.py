"""Of `service.transports.socket_outlet`, on a transport that is full when the test says so."""

from collections.abc import Callable

import pytest

from protocol.codec import JSON
from protocol.events import Event, EventBody, JobCancelled, JobStarted, StepFinished
from service.cork import Cork
from service.transports.shared_frames import event_frame
from service.transports.socket_outlet import LAGGING, DirectOutlet

AT = "2026-11-21T05:01:57.457Z"


class Transport:
    """Takes what is written, and remembers it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def writelines(self, contents: list[bytes]) -> None:
        self.written += contents


class Protocol:
    """As much of `SharedFrameProtocol` as an outlet uses."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.is_congested = self.close_sent = self.disconnected = False
        self.unsent_bytes = 0
        self.on_writable: Callable[[], None] | None = None
        self.cut_off_with: int | None = None

    @property
    def is_open(self) -> bool:
        return not (self.close_sent or self.disconnected)

    def hold_above(self, _unsent_bytes: int, on_writable: Callable[[], None]) -> None:
        self.on_writable = on_writable

    def cut_off(self, code: int, _reason: str) -> None:
        self.cut_off_with = code
        self.close_sent = True

    def drain(self) -> None:
        self.is_congested, self.unsent_bytes = False, 0
        assert self.on_writable is not None
        self.on_writable()


@pytest.fixture
def protocol() -> Protocol:
    return Protocol()


@pytest.fixture
def lagged() -> list[str]:
    return []


@pytest.fixture
def outlet(protocol: Protocol, lagged: list[str]) -> DirectOutlet:
    return DirectOutlet(
        protocol,  # type: ignore[arg-type] # a stand-in
        JSON,
        Cork(),
        soft_bytes=10,
        hard_bytes=100,
        on_lagging=lambda: lagged.append("lagging"),
    )


def fact(body: EventBody, seq: int) -> Event:
    return Event(body, job_id="job", seq=seq, at=AT, cursor=f"c-{seq}")


def started(seq: int = 2) -> Event:
    return fact(JobStarted(worker="w", device="d", attempt=1), seq)


def step(n: int) -> Event:
    body = StepFinished(image=0, step=n, steps=9, progress=n / 9)
    return Event(body, job_id="job", seq=2, at=AT, attempt=1, n=n)


def frames(*events: Event) -> list[bytes]:
    return [event_frame(event, JSON) for event in events]


def test_an_event_is_written_at_once_while_there_is_room(outlet: DirectOutlet, protocol: Protocol) -> None:
    events = [started(), step(1), step(2)]
    for event in events:
        outlet.offer(event)
    assert protocol.transport.written == frames(*events)


def test_an_event_that_two_subscriptions_offer_is_written_once(outlet: DirectOutlet, protocol: Protocol) -> None:
    event = step(1)
    outlet.offer(event)
    outlet.offer(event)
    assert protocol.transport.written == frames(event)


def test_a_full_socket_gets_the_newest_hint_once_there_is_room_again(outlet: DirectOutlet, protocol: Protocol) -> None:
    protocol.is_congested = True
    newest = step(3)
    for event in (step(1), step(2), newest):
        outlet.offer(event)
    assert protocol.transport.written == []
    assert len(outlet) == 1
    protocol.drain()
    assert protocol.transport.written == frames(newest)
    assert len(outlet) == 0


def test_a_full_socket_still_gets_every_fact(outlet: DirectOutlet, protocol: Protocol) -> None:
    protocol.is_congested, protocol.unsent_bytes = True, 50
    events = [started(2), started(3)]
    for event in events:
        outlet.offer(event)
    assert protocol.transport.written == frames(*events)


def test_the_end_of_a_job_makes_its_waiting_hints_stale(outlet: DirectOutlet, protocol: Protocol) -> None:
    protocol.is_congested = True
    end = fact(JobCancelled(reason="r"), 3)
    outlet.offer(step(1))
    outlet.offer(end)
    protocol.drain()
    assert protocol.transport.written == frames(end)


def test_a_socket_with_too_much_unsent_is_cut_off_and_gets_nothing_more(
    outlet: DirectOutlet, protocol: Protocol, lagged: list[str]
) -> None:
    protocol.is_congested, protocol.unsent_bytes = True, 101
    outlet.offer(started(2))
    outlet.offer(started(3))
    assert protocol.cut_off_with == LAGGING
    assert protocol.transport.written == []
    assert lagged == ["lagging"]
