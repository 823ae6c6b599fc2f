"""Follows a bucket, whatever becomes of the connection, of the server's consumer, or of the bucket itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from service.cluster.connection import Connection
from service.cluster.kv import Bucket, Entry, is_removal
from service.cluster.ordered import OrderedConsumer, Reader


class Watch:
    """Tells what is in a bucket, and then each change.

    Whenever something may have been missed it tells all there is once more; so it does when a bucket in memory went
    with its server. Entries that a bucket drops by age are not told of by NATS.

    Args:
        on_all: told all there is, at the start and at each new beginning; replaces what was told before.
        on_entry: told each new value.
        on_gone: told the key of each one that was deleted.
    """

    def __init__(
        self,
        connection: Connection,
        bucket: Bucket,
        *,
        on_all: Callable[[Mapping[str, Entry]], None],
        on_entry: Callable[[Entry], None],
        on_gone: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._bucket = bucket
        self._on_all = on_all
        self._on_entry = on_entry
        self._on_gone = on_gone
        self._found: dict[str, Entry] = {}
        self._is_current = asyncio.Event()
        self._consumer = OrderedConsumer(
            connection,
            bucket.stream,
            Reader(self._place, self._take_in, begin=self._begin, end=self._is_current.clear),
        )

    @property
    def is_current(self) -> bool:
        """Whether `on_all` was told and nothing speaks against having heard everything since."""
        return self._is_current.is_set()

    async def until_current(self) -> None:
        await self._is_current.wait()

    async def run(self) -> None:
        """Follow it until cancelled."""
        await self._consumer.run()

    def _place(self) -> ConsumerConfig:
        return ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=f"{self._bucket.prefix}>")

    def _begin(self, pending: int) -> None:
        self._found = {}
        if not pending:
            self._tell_all()

    async def _take_in(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            key = message.subject.removeprefix(self._bucket.prefix)
            if is_removal(message.headers or {}):
                self._drop(key)
            else:
                self._put(Entry(key, message.data, message.metadata.sequence.stream))
            if not self.is_current and message.metadata.num_pending == 0:
                self._tell_all()

    def _put(self, entry: Entry) -> None:
        if self.is_current:
            self._on_entry(entry)
        else:
            self._found[entry.key] = entry

    def _drop(self, key: str) -> None:
        if self.is_current:
            self._on_gone(key)
        else:
            self._found.pop(key, None)

    def _tell_all(self) -> None:
        self._on_all(self._found)
        self._is_current.set()
