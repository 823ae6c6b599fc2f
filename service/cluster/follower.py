"""Reads the facts stream in order, from where a projection ends, for as long as the process runs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from service.cluster.connection import Connection
from service.cluster.jetstream import NO_MESSAGE, ask
from service.cluster.ordered import OrderedConsumer, Reader

_LOOK_AGAIN_S: Final = 1.0


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
        self._give = take_in
        self._consumer = OrderedConsumer(connection, stream, Reader(self._place, self._take_in))
        self._moved = asyncio.Condition()
        self.position = 0
        """The number of the last message that was taken in."""

    @property
    def backlog(self) -> int:
        """How many messages have arrived and were not taken in yet."""
        return self._consumer.backlog

    async def run(self) -> None:
        """Follow it until cancelled."""
        await self._consumer.run()

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

    async def _next(self, number: int) -> int | None:
        """The number of the first message at `number` or behind it; None if there is none."""
        try:
            found = await ask(self._connection, f"STREAM.MSG.GET.{self._stream}", {"seq": number, "next_by_subj": ">"})
        except APIError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise
        return int(found["message"]["seq"])

    def _place(self) -> ConsumerConfig:
        return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self.position + 1)

    async def _take_in(self, messages: Sequence[Msg]) -> None:
        taken = [Taken(message.metadata.sequence.stream, message.subject, message.data) for message in messages]
        await self._give(taken)
        async with self._moved:
            self.position = max(self.position, taken[-1].number)
            self._moved.notify_all()
