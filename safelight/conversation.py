"""What a client and its server say to each other over one socket after another.

Whatever is wanted is kept in two tables: messages without a reply yet, and subscriptions without an end yet. A new
socket begins by sending both again: submits with their idempotency key, subscriptions from the last fact they have.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from protocol.errors import ErrorCode
from safelight.errors import UnexpectedAnswer
from safelight.feed import Feed, Gap
from safelight.transport import Submitted
from safelight.verdict import Broken
from safelight.wire import read_job, read_refusal


class Subscription(Protocol):
    """What a connection keeps alive across sockets: `Feed` or `MineFeed`."""

    @property
    def job_id(self) -> str | None: ...

    @property
    def has_ended(self) -> bool: ...

    def subscription(self) -> dict[str, Any]: ...

    def subscribed(self, cursor: str | None) -> None: ...

    def resuming(self) -> None: ...

    def offer(self, fields: Mapping[str, Any]) -> bool: ...

    def fail(self, error: Exception) -> None: ...


@dataclass(slots=True, eq=False)
class _Question:
    """A message that waits for its reply."""

    message: Mapping[str, Any]
    answer: asyncio.Future[Any]
    times_sent: int = 0

    @property
    def is_submit(self) -> bool:
        return bool(self.message["type"] == "submit")


class Conversation:
    """See the module. For the event loop's thread only; nothing here waits."""

    def __init__(self) -> None:
        self._refs = itertools.count(1)
        self._questions: dict[str, _Question] = {}
        self._subscriptions: dict[str | None, Subscription] = {}
        self._subscribing: dict[str, Subscription] = {}
        self._early: dict[str, list[Mapping[str, Any]]] = {}
        self._outbox: asyncio.Queue[Mapping[str, Any]] | None = None

    # What is wanted

    @property
    def is_wanted(self) -> bool:
        """Somebody waits for a reply, or for events."""
        return bool(self._questions or self._subscriptions)

    def feed(self, job_id: str) -> Feed | None:
        """What is kept fed for that job, if anything is."""
        known = self._subscriptions.get(job_id)
        return known if isinstance(known, Feed) else None

    def subscribe(self, subscription: Subscription) -> None:
        """Keep `subscription` fed until it has ended."""
        self._subscriptions[subscription.job_id] = subscription
        self._send_subscribe(subscription)

    @contextmanager
    def asking(self, message: Mapping[str, Any]) -> Iterator[asyncio.Future[Any]]:
        """Send a message, again and again if need be, for as long as somebody waits for its answer.

        Within it there is the answer to wait for: a `Submitted`, None, or an exception.
        """
        question = _Question(message, asyncio.get_running_loop().create_future())
        ref = f"q{next(self._refs)}"
        self._questions[ref] = question
        self._send_question(ref, question)
        try:
            yield question.answer
        finally:
            self._questions.pop(ref, None)

    # Sending: without a socket nothing is sent, and all of it is when there is one again

    def begin(self) -> asyncio.Queue[Mapping[str, Any]]:
        """There is a new socket: say again whatever has not been answered or has not ended.

        Returns:
            What is to be sent over it, in order.
        """
        self._outbox = outbox = asyncio.Queue[Mapping[str, Any]]()
        self._early.clear()
        self._subscribing.clear()
        for subscription in self._subscriptions.values():
            subscription.resuming()
            self._send_subscribe(subscription)
        for ref, question in self._questions.items():
            self._send_question(ref, question)
        return outbox

    def pause(self) -> None:
        """The socket has gone."""
        self._outbox = None

    def _send_question(self, ref: str, question: _Question) -> None:
        if self._outbox is not None:
            question.times_sent += 1
            self._outbox.put_nowait({**question.message, "ref": ref})

    def _send_subscribe(self, subscription: Subscription) -> None:
        if self._outbox is not None:
            ref = f"s{next(self._refs)}"
            self._subscribing[ref] = subscription
            self._outbox.put_nowait({**subscription.subscription(), "ref": ref})

    # Receiving

    def take(self, message: Mapping[str, Any]) -> None:
        """Take what the server said.

        Raises:
            Broken: it cannot go on over this socket.
        """
        if message.get("type") == "reply":
            self._take_reply(message)
        elif message.get("job_id") is None and None not in self._subscriptions:
            pass  # of a topic that nobody here asked for
        else:
            self._take_event(message)

    def _take_event(self, fields: Mapping[str, Any]) -> None:
        job_id = fields.get("job_id")
        subscription = self._subscriptions.get(job_id) or self._subscriptions.get(None)
        if subscription is not None:
            self._offer(subscription, fields)
        elif isinstance(job_id, str) and any(question.is_submit for question in self._questions.values()):
            # Perhaps of a job whose submit has not been answered yet.
            self._early.setdefault(job_id, []).append(fields)

    def _offer(self, subscription: Subscription, fields: Mapping[str, Any]) -> None:
        try:
            subscription.offer(fields)
        except Gap as gap:
            raise Broken(f"events are missing: {gap}") from None
        except UnexpectedAnswer as error:
            subscription.fail(error)
        if subscription.has_ended and self._subscriptions.get(subscription.job_id) is subscription:
            del self._subscriptions[subscription.job_id]

    def _take_reply(self, reply: Mapping[str, Any]) -> None:
        ref = reply.get("ref")
        if not isinstance(ref, str):
            return  # to a frame that the server could not read; it says so by its close code
        if ref in self._subscribing:
            self._take_subscribed(self._subscribing.pop(ref), reply)
        elif ref in self._questions:
            self._take_answer(ref, self._questions[ref], reply)

    def _take_subscribed(self, subscription: Subscription, reply: Mapping[str, Any]) -> None:
        if reply.get("ok"):
            subscription.subscribed(reply.get("cursor"))
            return
        subscription.fail(read_refusal(reply.get("error")))
        self._subscriptions.pop(subscription.job_id, None)

    def _take_answer(self, ref: str, question: _Question, reply: Mapping[str, Any]) -> None:
        was_sent_before = question.times_sent > 1
        refusal = None if reply.get("ok") else read_refusal(reply.get("error"))
        if refusal is not None and refusal.code == ErrorCode.DRAINING:
            # The question stays, and is asked again of whoever answers next.
            raise Broken("the server is draining")
        if refusal is not None and not (
            # The first time it was heard, and the answer was lost with its socket.
            refusal.code == ErrorCode.ALREADY_ENDED and question.message["type"] == "cancel" and was_sent_before
        ):
            self._answer(ref, question, refusal)
        elif question.is_submit:
            self._take_submitted(ref, question, reply)
        else:
            self._answer(ref, question, None)

    def _take_submitted(self, ref: str, question: _Question, reply: Mapping[str, Any]) -> None:
        try:
            job = read_job(reply.get("job"))
        except UnexpectedAnswer as error:
            self._answer(ref, question, error)
            return
        known = self._subscriptions.get(job.id)
        feed = known if isinstance(known, Feed) else Feed(job.id)
        self._subscriptions[job.id] = feed
        self._answer(ref, question, Submitted(job, feed))
        for fields in self._early.pop(job.id, []):
            self._offer(feed, fields)

    def _answer(self, ref: str, question: _Question, answer: object) -> None:
        del self._questions[ref]
        if question.answer.done():
            return  # who asked has gone away
        if isinstance(answer, Exception):
            question.answer.set_exception(answer)
        else:
            question.answer.set_result(answer)

    def fail_submits(self, error: Exception) -> None:
        """Answer every submit that has no answer yet with `error`."""
        for ref, question in list(self._questions.items()):
            if question.is_submit:
                self._answer(ref, question, error)

    def fail_all(self, error: Exception) -> None:
        """Tell everyone who waits for something that it will not come."""
        for ref, question in list(self._questions.items()):
            self._answer(ref, question, error)
        subscriptions = list(self._subscriptions.values())
        self._subscriptions.clear()
        for subscription in subscriptions:
            subscription.fail(error)
