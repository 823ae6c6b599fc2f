"""A viewer in a cluster: when its gateway goes, it goes on at another one, after the last fact it has."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

from protocol.events import Event
from safelight.address import Address
from safelight.connection import WebSocketConnection
from safelight.errors import ConnectionLost, ServerUnreachable
from safelight.feed import Feed
from safelight.local_cluster import LocalCluster, Member

_PATIENCE_S: Final = 0.0
"""There are other gateways: none is waited for."""


class NowhereLeft(ConnectionLost):
    """No gateway is alive any more."""


class _CountingFeed(Feed):
    """Notes the seq of each fact as it comes over the wire, repeats too.

    Args:
        after: of the last fact that came by way of another gateway.
        heard: is appended to.
    """

    def __init__(self, job_id: str, after: int, heard: list[int]) -> None:
        super().__init__(job_id)
        self.seq = after
        self._heard = heard

    def offer(self, fields: Mapping[str, Any]) -> bool:
        if "n" not in fields:
            self._heard.append(int(fields["seq"]))
        return super().offer(fields)


class RoamingViewer:
    """Watches one job to its end.

    Args:
        gateway: where it begins.
        on_move: called with the gateway it goes on at.

    Attributes:
        heard: the seq of each fact that came, repeats and all, in the order they came.
        facts: those facts, each once.
        resumed_after: where it asked to go on each time it came to another gateway: a seq.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        job_id: str,
        gateway: Member,
        on_move: Callable[[Member], None] = lambda _gateway: None,
    ) -> None:
        self._cluster = cluster
        self._on_move = on_move
        self.job_id = job_id
        self.gateway = gateway
        self.heard: list[int] = []
        self.facts: list[Event] = []
        self.resumed_after: list[int] = []

    @property
    def has_ended(self) -> bool:
        return bool(self.facts) and self.facts[-1].is_terminal

    async def events(self) -> AsyncGenerator[Event, None]:
        """Every fact once and in order, and hints, up to the terminal fact; whichever gateways die.

        Raises:
            NowhereLeft: all of them.
        """
        while not self.has_ended:
            connection = WebSocketConnection(Address.parse(self.gateway.url), patience_s=_PATIENCE_S)
            feed = _CountingFeed(self.job_id, len(self.facts), self.heard)
            try:
                connection.subscribe(feed)
                async for event in feed.events():
                    if event.is_fact:
                        self.facts.append(event)
                    yield event
            except (ConnectionLost, ServerUnreachable):
                self._move()
            finally:
                await connection.aclose()

    def _move(self) -> None:
        gateway = self._cluster.next_gateway(self.gateway)
        if gateway is None and self.gateway.is_alive:
            gateway = self.gateway
        if gateway is None:
            raise NowhereLeft("no gateway is left to watch a job at")
        self.gateway = gateway
        self.resumed_after.append(len(self.facts))
        self._on_move(gateway)
