"""Reads the facts stream in order, from where a projection ends, for as long as the process runs.

The server pushes to a consumer that lives in its memory and keeps no account of what was read: we do. Whenever
something may have been missed (a gap in the consumer's numbers, heartbeats that stop, a new connection) it begins
anew, behind the last message that was taken in.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import APIError

from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.jetstream import NO_MESSAGE, ask

logger = structlog.get_logger(__name__)

_HEARTBEAT_S: Final = 1.0
_MISSED_HEARTBEATS: Final = 3
_KEPT_WITHOUT_US_S: Final = 10.0
_GOODBYE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_MOST_PER_BATCH: Final = 500
_LOOK_AGAIN_S: Final = 1.0
_CONTROL: Final = "100"
_LAST_SENT: Final = "Nats-Last-Consumer"


class _Broken(Exception):
    """Something may have been missed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message of the stream.

    Attributes:
        number: its sequence in the stream; rises, with gaps where messages have been removed.
    """

    number: int
    subject: str
    data: bytes


class Follower:
    """See the module. For the event loop only.

    Args:
        stream: its name.
        take_in: given what comes next, in order; what it has returned from is not given again. It may take its time:
            the server is told to wait. If it raises, so does `run`.
    """

    def __init__(
        self, connection: Connection, stream: str, take_in: Callable[[Sequence[Taken]], Awaitable[None]]
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._take_in = take_in
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._moved = asyncio.Condition()
        self.position = 0
        """The number of the last message that was taken in."""

    async def run(self) -> None:
        """Follow it until cancelled."""
        self._connection.on_state.append(self._interrupt)
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                await self._connection.until_connected()
                before = self.position
                try:
                    await self._follow()
                except (_Broken, Unavailable, APIError) as problem:
                    if self.position > before:
                        pause_s = _FIRST_PAUSE_S
                    logger.debug("nats.follower_begins_anew", position=self.position, reason=str(problem))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            self._connection.on_state.remove(self._interrupt)

    async def catch_up(self) -> int:
        """Wait until everything that is in the stream now has been taken in; returns how far that is.

        Raises:
            Unavailable: how far it goes cannot be asked.
        """
        last = int((await ask(self._connection, f"STREAM.INFO.{self._stream}"))["state"]["last_seq"])
        # The last ones may have been removed, or be removed meanwhile: what counts is whether any are left to come.
        while (following := await self._next(self.position + 1)) is not None and following <= last:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self.reaches(following)
        return self.position

    async def reaches(self, number: int) -> None:
        """Wait until the message of that number has been taken in."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.position >= number)

    def _interrupt(self, is_connected: bool) -> None:
        if not is_connected:
            self._arrived.put_nowait(None)

    async def _follow(self) -> None:
        """Returns never.

        Raises:
            _Broken, Unavailable, APIError: begin anew.
        """
        inbox, name = self._connection.nats.new_inbox(), f"follower-{secrets.token_hex(8)}"
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._arrived = arrived

        async def take(message: Msg) -> None:
            arrived.put_nowait(message)  # never into the queue of a later beginning

        what = f"following {self._stream}"
        with asking(what):
            subscription = await self._connection.nats.subscribe(inbox, cb=take)
        try:
            with asking(what):
                await self._connection.js.add_consumer(
                    self._stream,
                    ConsumerConfig(
                        name=name,
                        deliver_subject=inbox,
                        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                        opt_start_seq=self.position + 1,
                        ack_policy=AckPolicy.NONE,
                        max_deliver=1,
                        flow_control=True,
                        idle_heartbeat=_HEARTBEAT_S,
                        inactive_threshold=_KEPT_WITHOUT_US_S,
                        mem_storage=True,
                        num_replicas=1,
                    ),
                )
            await self._read(arrived)
        finally:
            # It may all be gone; the server drops what nobody listens to.
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await subscription.unsubscribe()
                    if self._connection.is_connected:
                        await self._connection.js.delete_consumer(self._stream, name)

    async def _next(self, number: int) -> int | None:
        """The number of the first message at `number` or behind it; None if there is none."""
        try:
            found = await ask(self._connection, f"STREAM.MSG.GET.{self._stream}", {"seq": number, "next_by_subj": ">"})
        except APIError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise
        return int(found["message"]["seq"])

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
            batch: list[Taken] = []
            go_on: list[str] = []
            broken: _Broken | None = None
            for message in messages:
                if message is None:
                    broken = _Broken("the connection broke")
                    break
                headers = message.headers or {}
                if headers.get(Header.STATUS.value) == _CONTROL:
                    stalled = headers.get(Header.CONSUMER_STALLED.value)
                    go_on += [subject for subject in (message.reply, stalled) if subject]
                    if int(headers.get(_LAST_SENT, heard)) > heard:
                        broken = _Broken("something did not arrive")
                        break
                    continue
                metadata = message.metadata
                if metadata.sequence.consumer != heard + 1:
                    broken = _Broken("something did not arrive")
                    break
                heard += 1
                batch.append(Taken(metadata.sequence.stream, message.subject, message.data))
            if batch:
                await self._take_in(batch)
                await self._move_to(batch[-1].number)
            for subject in go_on:  # not before what came before it is taken in: that is what makes the server wait
                with contextlib.suppress(Unavailable), asking("going on"):
                    await self._connection.nats.publish(subject)
            if broken is not None:
                raise broken

    async def _move_to(self, number: int) -> None:
        async with self._moved:
            self.position = max(self.position, number)
            self._moved.notify_all()
