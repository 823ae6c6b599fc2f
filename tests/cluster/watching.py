"""Viewers of a cluster that come and go: cut off at random, they go on at another gateway from what they have.

Each keeps the facts it was told. One that comes twice, out of order or behind a gap fails the viewer at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from protocol.codec import CODECS, JSON, MSGPACK, Codec, event_text
from safelight import AsyncClient
from safelight.errors import ConnectionLost, RequestRefused, ServerUnreachable
from safelight.transport import TransportName
from tests.clusters import Member
from tests.integration.viewers import FACT_TYPES, TERMINAL_TYPES, Message
from tests.servers import DEADLINE_S

PATIENCE_S = 9 * DEADLINE_S
"""Within so long anything is well again, whatever was killed."""
_LOOK_S = 0.05
_BEHIND = frozenset({"not_ready"})
"""What a gateway says that does not know yet what another has told, and cannot ask."""
_GONE = (
    OSError,
    EOFError,
    TimeoutError,
    WebSocketException,
    httpx.TransportError,
    ServerUnreachable,
    ConnectionLost,
)
"""What a client sees of a gateway that is killed under it."""


async def until(is_true: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
    """Wait for something that sends no event."""
    try:
        async with asyncio.timeout(within_s):
            while not is_true():
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise AssertionError(f"waited {within_s:g} s for {what}") from None


class Told:
    """The facts one viewer was told, by job."""

    def __init__(self, viewer: str) -> None:
        self.viewer = viewer
        self.facts: dict[str, list[Message]] = {}
        self.ended: set[str] = set()

    def take(self, message: Message) -> None:
        """
        Raises:
            AssertionError: it is a fact that came before, or one is missing before it.
        """
        if message["type"] not in FACT_TYPES:
            return
        facts = self.facts.setdefault(message["job_id"], [])
        assert message["job_id"] not in self.ended, f"{self.viewer}: after the end: {message}"
        assert message["seq"] == len(facts) + 1, f"{self.viewer}: told {message} after {facts[-1:]}"
        facts.append(orjson.loads(orjson.dumps(message)))
        if message["type"] in TERMINAL_TYPES:
            self.ended.add(message["job_id"])


class Viewer:
    """Somebody who watches, and never stays long.

    Args:
        gateways: where it may go.
        lots: decides where it goes and when it leaves.
        is_over: nothing more will happen than what has happened.
    """

    def __init__(
        self, name: str, gateways: Sequence[Member], lots: random.Random, *, is_over: Callable[[], bool]
    ) -> None:
        self.told = Told(name)
        self._gateways = gateways
        self._lots = lots
        self._is_over = is_over
        self.moves = 0

    async def run(self) -> None:
        """Watch until it is over and everything was told."""
        raise NotImplementedError

    async def _gateway(self) -> Member:
        """Where it goes next: any that runs."""
        await until(lambda: any(gateway.is_running for gateway in self._gateways), "a gateway")
        self.moves += 1
        await asyncio.sleep(_LOOK_S * self._lots.random())  # one that is killed is not asked a thousand times
        return self._lots.choice([gateway for gateway in self._gateways if gateway.is_running] or self._gateways)

    @asynccontextmanager
    async def _socket(self, codec: Codec) -> AsyncIterator[ClientConnection]:
        gateway = await self._gateway()
        async with connect(
            gateway.ws_url,
            subprotocols=[Subprotocol(codec.subprotocol)],
            compression=None,
            proxy=None,
            open_timeout=DEADLINE_S,
            close_timeout=DEADLINE_S / 10,
        ) as socket:
            yield socket

    async def _told_by(self, socket: ClientConnection, codec: Codec) -> Message:
        message: Message = codec.decode(await socket.recv())
        return message


class MineViewer(Viewer):
    """Watches all jobs of its key from the first on, by cursor."""

    def __init__(self, *arguments: Any, wanted: Callable[[], Iterable[str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._wanted = wanted
        self._codec = self._lots.choice(list(CODECS.values()))
        self.cursor: str | None = None
        self.has_begun = asyncio.Event()

    async def run(self) -> None:
        while not (self._is_over() and self.told.ended >= set(self._wanted())):
            with suppress(*_GONE):
                async with self._socket(self._codec) as socket:
                    await self._watch(socket)

    async def _watch(self, socket: ClientConnection) -> None:
        message = {"type": "subscribe", "ref": "s", "jobs": "mine"} | ({"cursor": self.cursor} if self.cursor else {})
        content = self._codec.encode(message)
        await socket.send(content if self._codec.messages_are_binary else content.decode())
        for _ in range(self._lots.randint(1, 60)):
            if self._is_over() and self.told.ended >= set(self._wanted()):
                return
            try:
                async with asyncio.timeout(DEADLINE_S / 10):
                    told = await self._told_by(socket, self._codec)
            except TimeoutError:
                continue
            if told["type"] == "reply":
                assert told["ok"], f"{self.told.viewer}: {told}"
                self.cursor = self.cursor or told["cursor"]
                self.has_begun.set()
            elif told["type"] in FACT_TYPES:
                self.told.take(told)
                self.cursor = told["cursor"]


class JobViewer(Viewer):
    """Watches one job after the other to its end, by seq.

    Args:
        next_job: one to watch; None if there is none now.
    """

    def __init__(self, *arguments: Any, next_job: Callable[[], str | None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._next_job = next_job
        self.refused = 0
        """Times a gateway did not know of something yet."""

    async def run(self) -> None:
        while (job_id := await self._choose()) is not None:
            async with asyncio.timeout(2 * PATIENCE_S):
                while job_id not in self.told.ended:
                    with suppress(*_GONE):
                        await self._look(job_id, len(self.told.facts.get(job_id, ())))

    async def _choose(self) -> str | None:
        """A job not watched before; None once there will be none."""
        chosen: list[str] = []

        def found() -> bool:
            job_id = self._next_job()
            if job_id is not None and job_id not in self.told.ended:
                chosen.append(job_id)
            return bool(chosen) or self._is_over()

        await until(found, "a job to watch", within_s=3 * PATIENCE_S)
        return chosen[0] if chosen else None

    async def _look(self, job_id: str, after: int) -> None:
        raise NotImplementedError


class SocketViewer(JobViewer):
    async def _look(self, job_id: str, after: int) -> None:
        codec = self._lots.choice([JSON, MSGPACK])
        async with self._socket(codec) as socket:
            content = codec.encode({"type": "subscribe", "ref": "s", "job_id": job_id, "after": after})
            await socket.send(content if codec.messages_are_binary else content.decode())
            for _ in range(self._lots.randint(1, 12)):
                async with asyncio.timeout(DEADLINE_S):
                    told = await self._told_by(socket, codec)
                if told["type"] == "reply":
                    if not told["ok"]:
                        assert told["error"]["code"] in _BEHIND, told
                        self.refused += 1
                        return
                    continue
                self.told.take(told)
                if job_id in self.told.ended:
                    return


class StreamViewer(JobViewer):
    """By Server-Sent Events and their Last-Event-ID."""

    async def _look(self, job_id: str, after: int) -> None:
        gateway = await self._gateway()
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        left = self._lots.randint(1, 12)
        async with (
            httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as http,
            http.stream("GET", f"{gateway.url}/v1/jobs/{job_id}/events", headers=headers) as answer,
        ):
            if answer.status_code != 200:
                assert orjson.loads(await answer.aread())["code"] in _BEHIND, answer
                self.refused += 1
                return
            buffer = b""
            async for chunk in answer.aiter_raw():
                *whole, buffer = (buffer + chunk).split(b"\n\n")
                for block in whole:
                    fields = dict(line.split(b": ", 1) for line in block.splitlines() if not line.startswith(b":"))
                    if b"data" in fields:
                        self.told.take(orjson.loads(fields[b"data"]))
                        left -= 1
                    if not left:
                        return


class ClientViewer(JobViewer):
    """A program that uses our own client, which stays with its gateway, and waits for it to come back."""

    async def _look(self, job_id: str, after: int) -> None:
        gateway = await self._gateway()
        transport = self._lots.choice(list(TransportName))
        async with AsyncClient(gateway.url, transport=transport, patience_s=PATIENCE_S) as client:
            try:
                job = await client.get(job_id)
                async for event in job.events(after):
                    if event.is_fact:
                        self.told.take(orjson.loads(event_text(event)))
            except RequestRefused as refused:
                if refused.code not in _BEHIND:
                    raise
                self.refused += 1
