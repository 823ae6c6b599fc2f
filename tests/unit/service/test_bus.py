from collections.abc import Callable

import pytest

from protocol.events import Event, JobWarning, ModelLoaded, QueueMoved
from service.bus import Bus


class Ear:
    def __init__(self, on_offer: Callable[[], None] = lambda: None) -> None:
        self.events: list[Event] = []
        self._on_offer = on_offer

    def offer(self, event: Event) -> None:
        self.events.append(event)
        self._on_offer()


def about(job_id: str | None) -> Event:
    if job_id is None:
        return Event(ModelLoaded(model="m", device="d"), at="", n=1)
    return Event(JobWarning(code="c", message=""), job_id=job_id, seq=1, at="")


@pytest.fixture
def bus() -> Bus:
    return Bus()


def test_an_event_goes_to_those_it_concerns_and_to_nobody_else(bus: Bus) -> None:
    ears = {name: Ear() for name in ("job", "other job", "key", "other key", "server")}
    bus.watch_job("a", ears["job"])
    bus.watch_job("b", ears["other job"])
    bus.watch_key("k", ears["key"])
    bus.watch_key("l", ears["other key"])
    bus.watch_server(ears["server"])
    bus.publish(about("a"), "k")
    bus.publish(about(None))
    heard = {name: [event.job_id for event in ear.events] for name, ear in ears.items()}
    assert heard == {"job": ["a"], "other job": [], "key": ["a"], "other key": [], "server": [None]}


def test_subscribing_twice_is_subscribing_once(bus: Bus) -> None:
    ear = Ear()
    for _ in range(2):
        bus.watch_job("a", ear)
    bus.publish(about("a"))
    assert len(ear.events) == 1
    assert bus.subscriber_count() == 1
    bus.leave_job("a", ear)
    assert bus.subscriber_count() == 0


def test_one_who_wants_facts_only_hears_no_hint_and_is_none_of_those_who_watch(bus: Bus) -> None:
    watches, waits = Ear(), Ear()
    bus.watch_job("a", watches)
    bus.watch_job("b", waits, facts_only=True)
    for job_id in ("a", "b"):
        bus.publish(Event(QueueMoved(position=1), job_id=job_id, seq=1, at="", attempt=1, n=1))
        bus.publish(about(job_id))
    assert [event.type for event in watches.events] == ["queue.moved", "job.warning"]
    assert [event.type for event in waits.events] == ["job.warning"]
    assert list(bus.watched_jobs()) == ["a"]
    assert bus.subscriber_count() == 2
    bus.leave_job("b", waits)
    assert bus.subscriber_count() == 1


def test_leaving_takes_this_subscriber_away_and_no_other(bus: Bus) -> None:
    stays, goes = Ear(), Ear()
    for ear in (stays, goes):
        bus.watch_job("a", ear)
        bus.watch_key("k", ear)
        bus.watch_server(ear)
    bus.leave_job("a", goes)
    bus.leave_key("k", goes)
    bus.leave_server(goes)
    bus.publish(about("a"), "k")
    bus.publish(about(None))
    assert (len(stays.events), len(goes.events)) == (3, 0)


def test_leaving_what_one_never_watched_does_nothing(bus: Bus) -> None:
    ear = Ear()
    bus.leave_job("a", ear)
    bus.leave_key("k", ear)
    bus.leave_server(ear)
    bus.watch_job("a", Ear())
    bus.leave_job("a", ear)
    assert bus.subscriber_count() == 1


def test_a_topic_without_subscribers_is_forgotten(bus: Bus) -> None:
    ear = Ear()
    bus.watch_job("a", ear)
    bus.watch_key("k", ear)
    assert (list(bus.watched_jobs()), list(bus.watched_keys())) == (["a"], ["k"])
    bus.leave_job("a", ear)
    bus.leave_key("k", ear)
    assert (list(bus.watched_jobs()), list(bus.watched_keys())) == ([], [])


def test_publishing_to_nobody_leaves_no_topic_behind(bus: Bus) -> None:
    bus.publish(about("a"), "k")
    assert (list(bus.watched_jobs()), list(bus.watched_keys())) == ([], [])


def test_a_subscriber_may_leave_while_it_is_offered_something(bus: Bus) -> None:
    leaving = Ear(lambda: bus.leave_job("a", leaving))
    other = Ear()
    bus.watch_job("a", leaving)
    bus.watch_job("a", other)
    bus.publish(about("a"))
    bus.publish(about("a"))
    assert (len(leaving.events), len(other.events)) == (1, 2)
