"""Asks consumers for one message at a time, without losing one to a time limit or to cancelling."""

import asyncio
import contextlib
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from service.cluster.connection import Connection, Unavailable, asking

_ONE: Final = b'{"batch":1,"no_wait":true}'
_HAND_BACK: Final = b"-NAK"


class Puller:
    """One question at a time. What arrives too late for its question is handed back, so that it waits for nobody.

    Args:
        answer_s: how long an answer is waited for.
    """

    def __init__(self, connection: Connection, *, answer_s: float) -> None:
        self._connection = connection
        self._answer_s = answer_s
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._asked = 0
        self._answer: asyncio.Future[Msg | None] | None = None
        connection.on_state.append(self._interrupt)

    async def next(self, stream: str, consumer: str) -> Msg | None:
        """The next message of a pull consumer; None if it has none, or if there is no such consumer.

        Raises:
            Unavailable: no answer in time.
        """
        self._asked += 1
        answer: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            with asking("taking work"):
                if self._subscription is None:
                    self._inbox = self._connection.nats.new_inbox()
                    self._subscription = await self._connection.nats.subscribe(f"{self._inbox}.*", cb=self._take)
                verb = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
                await self._connection.nats.publish(verb, _ONE, reply=f"{self._inbox}.{self._asked}")
                async with asyncio.timeout(self._answer_s):
                    return await answer
        except BaseException:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                await self._hand_back(answer.result())  # it came in the moment we were cancelled
            raise
        finally:
            self._answer = None
            answer.cancel()

    async def close(self) -> None:
        """Listen no longer."""
        self._connection.on_state.remove(self._interrupt)
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _take(self, message: Msg) -> None:
        is_work = bool(message.reply)
        is_asked_for = is_work or message.subject == f"{self._inbox}.{self._asked}"
        if is_asked_for and self._answer is not None and not self._answer.done():
            self._answer.set_result(message if is_work else None)
        elif is_work:
            await self._hand_back(message)

    async def _hand_back(self, message: Msg | None) -> None:
        if message is not None:
            with contextlib.suppress(Unavailable), asking("handing back work"):
                await self._connection.nats.publish(message.reply, _HAND_BACK)

    def _interrupt(self, is_connected: bool) -> None:
        if not is_connected and self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unavailable("taking work: the connection to NATS broke"))
