"""Fan-out: every event goes to whoever subscribed to its job, to its key's jobs, or to the server topic."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

from protocol.events import Event
from service.cork import Cork


class Subscriber(Protocol):
    """Somebody an event is offered to."""

    def offer(self, event: Event) -> None:
        """Take an event, or decide not to. Never blocks, never raises."""
        ...


class Bus:
    """Who wants to hear of what. For the event loop only.

    Subscribers are kept in the order they came; adding one twice is adding it once.
    """

    def __init__(self) -> None:
        self._of_job: defaultdict[str, dict[Subscriber, None]] = defaultdict(dict)
        self._of_facts: defaultdict[str, dict[Subscriber, None]] = defaultdict(dict)
        self._of_key: defaultdict[str, dict[Subscriber, None]] = defaultdict(dict)
        self._of_server: dict[Subscriber, None] = {}
        self.cork = Cork()
        """In while several events are published in a row."""

    def publish(self, event: Event, key_id: str | None = None) -> None:
        """Offer an event to all it concerns; `key_id` is whose job it is."""
        # Copies: a subscriber may leave while it is offered something.
        if event.job_id is None:
            for subscriber in tuple(self._of_server):
                subscriber.offer(event)
            return
        for subscriber in tuple(self._of_job.get(event.job_id, ())):
            subscriber.offer(event)
        if event.is_fact:
            for subscriber in tuple(self._of_facts.get(event.job_id, ())):
                subscriber.offer(event)
        if key_id is not None and key_id in self._of_key:
            for subscriber in tuple(self._of_key[key_id]):
                subscriber.offer(event)

    def watch_job(self, job_id: str, subscriber: Subscriber, *, facts_only: bool = False) -> None:
        """
        Args:
            facts_only: the subscriber has no use for hints; it does not count as one who watches.
        """
        (self._of_facts if facts_only else self._of_job)[job_id][subscriber] = None

    def watch_key(self, key_id: str, subscriber: Subscriber) -> None:
        self._of_key[key_id][subscriber] = None

    def watch_server(self, subscriber: Subscriber) -> None:
        self._of_server[subscriber] = None

    def leave_job(self, job_id: str, subscriber: Subscriber) -> None:
        _leave(self._of_job, job_id, subscriber)
        _leave(self._of_facts, job_id, subscriber)

    def leave_key(self, key_id: str, subscriber: Subscriber) -> None:
        _leave(self._of_key, key_id, subscriber)

    def leave_server(self, subscriber: Subscriber) -> None:
        self._of_server.pop(subscriber, None)

    def watched_jobs(self) -> Iterator[str]:
        """Jobs somebody watches by name, hints and all."""
        return iter(self._of_job)

    def watched_keys(self) -> Iterator[str]:
        """Keys all of whose jobs somebody watches."""
        return iter(self._of_key)

    def subscriber_count(self) -> int:
        topics = (self._of_job, self._of_facts, self._of_key)
        return sum(len(each) for topic in topics for each in topic.values()) + len(self._of_server)


def _leave(topics: defaultdict[str, dict[Subscriber, None]], name: str, subscriber: Subscriber) -> None:
    """Remove this subscriber and no other; a topic without subscribers is forgotten."""
    if name in topics:
        topics[name].pop(subscriber, None)
        if not topics[name]:
            del topics[name]
