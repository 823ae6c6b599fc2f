"""Reads a stream in order, for as long as the process runs, whatever becomes of NATS, the consumer or the stream.

The server pushes to a consumer that lives in its memory and keeps no account of what was read: we do. Whenever
something may have been missed (a gap in the consumer's numbers, heartbeats that stop, a new connection) a new one is
made.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, Header
from nats.js.errors import APIError

from service.cluster.connection import Connection, Unavailable, asking

logger = structlog.get_logger(__name__)

_HEARTBEAT_S: Final = 1.0
_MISSED_HEARTBEATS: Final = 3
_KEPT_WITHOUT_US_S: Final = 10.0
_GOODBYE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_MOST_PER_BATCH: Final = 500
_CONTROL: Final = "100"
_LAST_SENT: Final = "Nats-Last-Consumer"


class _Broken(Exception):
    """Something may have been missed."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads.

    Attributes:
        place: where a consumer begins, and what of the stream it is sent; asked for at each beginning.
        begin: told how many messages a new consumer has to send by now.
        take_in: given what comes next, in order. It may take its time: the server is told to wait. If it raises, so
            does `OrderedConsumer.run`.
        end: told that the consumer is no good any more; from then on something may be missed, until the next begins.
    """

    place: Callable[[], ConsumerConfig]
    take_in: Callable[[Sequence[Msg]], Awaitable[None]]
    begin: Callable[[int], None] = lambda _: None
    end: Callable[[], None] = lambda: None


class OrderedConsumer:
    """See the module. For the event loop only.

    Args:
        stream: its name.
    """

    def __init__(self, connection: Connection, stream: str, reader: Reader) -> None:
        self._connection = connection
        self._stream = stream
        self._reader = reader
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._pause_s = _FIRST_PAUSE_S

    @property
    def backlog(self) -> int:
        """How many messages have arrived and were not taken in yet."""
        return self._arrived.qsize()

    async def run(self) -> None:
        """Read until cancelled."""
        self._connection.on_state.append(self._interrupt)
        try:
            while True:
                await self._connection.until_connected()
                try:
                    await self._consume()
                except (_Broken, Unavailable, APIError) as problem:
                    logger.debug("nats.consumer_begins_anew", stream=self._stream, reason=str(problem))
                self._reader.end()
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        finally:
            self._reader.end()
            self._connection.on_state.remove(self._interrupt)

    def _interrupt(self, is_connected: bool) -> None:
        if not is_connected:
            self._arrived.put_nowait(None)

    async def _consume(self) -> None:
        """Returns never.

        Raises:
            _Broken, Unavailable, APIError: begin anew.
        """
        inbox, name = self._connection.nats.new_inbox(), f"reader-{secrets.token_hex(8)}"
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._arrived = arrived

        async def take(message: Msg) -> None:
            arrived.put_nowait(message)  # never into the queue of a later beginning

        what = f"reading {self._stream}"
        with asking(what):
            subscription = await self._connection.nats.subscribe(inbox, cb=take)
        try:
            with asking(what):
                consumer = await self._connection.js.add_consumer(self._stream, self._config(inbox, name))
            self._reader.begin(consumer.num_pending or 0)
            await self._read(arrived)
        finally:
            # It may all be gone; the server drops what nobody listens to.
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await subscription.unsubscribe()
                    if self._connection.is_connected:
                        await self._connection.js.delete_consumer(self._stream, name)

    def _config(self, inbox: str, name: str) -> ConsumerConfig:
        return self._reader.place().evolve(
            name=name,
            deliver_subject=inbox,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=_HEARTBEAT_S,
            inactive_threshold=_KEPT_WITHOUT_US_S,
            mem_storage=True,
            num_replicas=1,
        )

    async def _read(self, arrived: asyncio.Queue[Msg | None]) -> None:
        heard = 0
        while True:
            try:
                async with asyncio.timeout(_MISSED_HEARTBEATS * _HEARTBEAT_S):
                    first = await arrived.get()
            except TimeoutError:
                raise _Broken("the heartbeats have stopped") from None
            messages = [first]
            while len(messages) < _MOST_PER_BATCH and not arrived.empty():
                messages.append(arrived.get_nowait())
            batch: list[Msg] = []
            go_on: list[str] = []
            broken: _Broken | None = None
            for message in messages:
                if message is None:
                    broken = _Broken("the connection broke")
                    break
                headers: dict[str, Any] = message.headers or {}
                if headers.get(Header.STATUS.value) == _CONTROL:
                    stalled = headers.get(Header.CONSUMER_STALLED.value)
                    go_on += [subject for subject in (message.reply, stalled) if subject]
                    if int(headers.get(_LAST_SENT, heard)) > heard:
                        broken = _Broken("something did not arrive")
                        break
                    continue
                if message.metadata.sequence.consumer != heard + 1:
                    broken = _Broken("something did not arrive")
                    break
                heard += 1
                batch.append(message)
            if batch:
                await self._reader.take_in(batch)
            if batch or broken is None:
                self._pause_s = _FIRST_PAUSE_S  # the stream is there, and is being read
            for subject in go_on:  # not before what came before it is taken in: that is what makes the server wait
                with contextlib.suppress(Unavailable), asking("going on"):
                    await self._connection.nats.publish(subject)
            if broken is not None:
                raise broken
