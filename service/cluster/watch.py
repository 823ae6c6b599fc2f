"""Follows a bucket, whatever becomes of the connection, of the server's consumer, or of the bucket itself."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import APIError

from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.kv import Bucket, Entry, is_removal

logger = structlog.get_logger(__name__)

_HEARTBEAT_S: Final = 1.0
_MISSED_HEARTBEATS: Final = 3
_KEPT_WITHOUT_US_S: Final = 10.0
_GOODBYE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_HEARTBEAT: Final = "100"
_LAST_SENT: Final = "Nats-Last-Consumer"


class _Broken(Exception):
    """Something may have been missed."""


class Watch:
    """Tells what is in a bucket, and then each change.

    It begins anew whenever something may have been missed: after a reconnect, when the server's sequence has a gap,
    and when its heartbeats stop coming, as they do when a bucket in memory went with its server. Entries that a
    bucket drops by age are not told of by NATS.

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
        self._connection = connection
        self._bucket = bucket
        self._on_all = on_all
        self._on_entry = on_entry
        self._on_gone = on_gone
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._is_current = asyncio.Event()

    @property
    def is_current(self) -> bool:
        """Whether `on_all` was told and nothing speaks against having heard everything since."""
        return self._is_current.is_set()

    async def until_current(self) -> None:
        await self._is_current.wait()

    async def run(self) -> None:
        """Follow it until cancelled."""
        self._connection.on_state.append(self._interrupt)
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                await self._connection.until_connected()
                try:
                    await self._follow()
                except (_Broken, Unavailable, APIError) as problem:
                    if self._is_current.is_set():
                        pause_s = _FIRST_PAUSE_S
                    logger.debug("nats.watch_begins_anew", bucket=self._bucket.name, reason=str(problem))
                self._is_current.clear()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            self._is_current.clear()
            self._connection.on_state.remove(self._interrupt)

    def _interrupt(self, is_connected: bool) -> None:
        if not is_connected:
            self._arrived.put_nowait(None)

    async def _follow(self) -> None:
        """Returns never.

        Raises:
            _Broken: begin anew.
            Unavailable: likewise.
            APIError: likewise: the bucket is not there.
        """
        inbox, name = self._connection.nats.new_inbox(), f"watch-{secrets.token_hex(8)}"
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._arrived = arrived

        async def take(message: Msg) -> None:
            arrived.put_nowait(message)  # never into the queue of a later beginning

        with asking(f"watching {self._bucket.name}"):
            subscription = await self._connection.nats.subscribe(inbox, cb=take)
        try:
            with asking(f"watching {self._bucket.name}"):
                consumer = await self._connection.js.add_consumer(
                    self._bucket.stream,
                    ConsumerConfig(
                        name=name,
                        deliver_subject=inbox,
                        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                        filter_subject=f"{self._bucket.prefix}>",
                        ack_policy=AckPolicy.NONE,
                        max_deliver=1,
                        idle_heartbeat=_HEARTBEAT_S,
                        inactive_threshold=_KEPT_WITHOUT_US_S,
                        mem_storage=True,
                        num_replicas=1,
                    ),
                )
            await self._read(consumer.num_pending or 0)
        finally:
            # It may all be gone; the server drops what nobody listens to.
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await subscription.unsubscribe()
                    if self._connection.is_connected:
                        await self._connection.js.delete_consumer(self._bucket.stream, name)

    async def _read(self, pending: int) -> None:
        found: dict[str, Entry] = {}
        heard = 0
        if not pending:
            self._begin(found)
        while True:
            try:
                async with asyncio.timeout(_MISSED_HEARTBEATS * _HEARTBEAT_S):
                    message = await self._arrived.get()
            except TimeoutError:
                raise _Broken("the heartbeats have stopped") from None
            if message is None:
                raise _Broken("the connection broke")
            headers = message.headers or {}
            if headers.get(Header.STATUS.value) == _HEARTBEAT:
                if int(headers.get(_LAST_SENT, heard)) > heard:
                    raise _Broken("something did not arrive")
                continue
            metadata = message.metadata
            heard += 1
            if metadata.sequence.consumer != heard:
                raise _Broken("something did not arrive")
            key = message.subject.removeprefix(self._bucket.prefix)
            entry = None if is_removal(headers) else Entry(key, message.data, metadata.sequence.stream)
            if self._is_current.is_set():
                if entry is not None:
                    self._on_entry(entry)
                else:
                    self._on_gone(key)
                continue
            if entry is not None:
                found[key] = entry
            else:
                found.pop(key, None)
            if metadata.num_pending == 0:
                self._begin(found)

    def _begin(self, found: Mapping[str, Entry]) -> None:
        self._on_all(found)
        self._is_current.set()
