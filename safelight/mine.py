"""The events of all jobs of one's own key, in one line, from a cursor on."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from protocol.events import Event, JobRemoved
from safelight.feed import Gap
from safelight.reader import Reader
from safelight.wire import read_event


class MineFeed(AsyncIterator[Event]):
    """Like `Feed`, for every job that the key may see, with one reader. For the event loop's thread only.

    Attributes:
        cursor: of the last fact that was handed to the reader; keep it, and pass it to go on from there in another
            process. None until the server has named one.
    """

    job_id = None

    def __init__(self, cursor: str | None = None) -> None:
        self.cursor = cursor
        self._taken = cursor
        self._seqs: dict[str, int] = {}
        self._marks: dict[tuple[str, str], tuple[int, int, str]] = {}
        self._is_resuming: set[tuple[str, str]] = set()
        self._reader = Reader()
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    def subscription(self) -> dict[str, Any]:
        """The message that asks for what comes next."""
        message: dict[str, Any] = {"type": "subscribe", "jobs": "mine"}
        if self._taken is not None:
            message["cursor"] = self._taken
        return message

    def subscribed(self, cursor: str | None) -> None:
        """The server agreed, and says where the subscription begins."""
        if self._taken is None:
            self._taken = self.cursor = cursor

    def resuming(self) -> None:
        """A new connection begins: the server may repeat the latest hints, or count anew after a restart."""
        self._is_resuming = set(self._marks)

    def offer(self, fields: Mapping[str, Any]) -> bool:
        """Take a decoded event, unless it came before.

        Returns:
            Whether it was news.

        Raises:
            Gap: facts of its job between the last one that came and this event are missing.
            UnexpectedAnswer: it cannot be read.
        """
        job_id = fields.get("job_id")
        if not isinstance(job_id, str) or self._has_ended:
            return False
        seq = int(fields.get("seq", 0))
        last = self._seqs.get(job_id)
        is_fact = "n" not in fields
        if last is not None:
            if is_fact and seq <= last:
                return False
            if seq > last + is_fact:
                raise Gap(f"job {job_id}: {fields.get('type')} with seq {seq} after fact {last}")
        event = read_event(fields)
        if is_fact:
            self._seqs[job_id] = seq
            self._taken = fields.get("cursor", self._taken)
        if event is None or not (is_fact or self._is_newer(event)):
            return False
        if event.is_terminal:
            self._forget(job_id)
        if isinstance(event.body, JobRemoved):  # nothing of it can come again
            self._forget(job_id)
            self._seqs.pop(job_id, None)
        self._reader.put(event)
        return True

    def fail(self, error: Exception) -> None:
        """No more events will come: the reader gets what is here, then `error`."""
        self._has_ended = True
        self._reader.end(error)

    def stop(self) -> None:
        """The reader has seen enough."""
        self._has_ended = True
        self._reader.end()

    async def __anext__(self) -> Event:
        event = await anext(self._reader)
        if event.cursor is not None:
            self.cursor = event.cursor
        return event

    def _is_newer(self, hint: Event) -> bool:
        key = (hint.job_id or "", hint.type)
        mark = (hint.attempt or 0, hint.n or 0, hint.at)
        old = self._marks.get(key)
        is_resuming = key in self._is_resuming
        self._is_resuming.discard(key)
        if old is not None and (mark == old if is_resuming else mark[:2] <= old[:2]):
            return False
        self._marks[key] = mark
        return True

    def _forget(self, job_id: str) -> None:
        # The seq stays: it is what recognises a repeat of the end.
        for key in [key for key in self._marks if key[0] == job_id]:
            del self._marks[key]
