"""The small interface that the ways to a server share: WebSocket, SSE, long poll."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from protocol.jobs import Job
from safelight.feed import Feed

PATIENCE_S: Final = 120.0
"""How long a broken connection may take to come back, unless the user says otherwise."""


class TransportName(StrEnum):
    """How events come. WebSocket is the fastest; the others pass through networks that do not let it."""

    WEBSOCKET = "websocket"
    SSE = "sse"
    POLL = "poll"


class ConnectionState(StrEnum):
    """What a user may be told of the connection."""

    CONNECTED = "connected"
    LOST = "lost"
    """It broke, and is being made again."""


Watcher: TypeAlias = Callable[[ConnectionState, str], None]
"""Told of the connection: its state, and the reason."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job, and its events from the first on."""

    job: Job
    feed: Feed


class Transport(Protocol):
    """Submits, watches and cancels, and resumes by itself. For the event loop's thread only."""

    async def submit(self, request: Mapping[str, Any], idempotency_key: str) -> Submitted:
        """Submit a job and watch it; sent again with the same key until there is an answer.

        Raises:
            RequestRefused, ServerUnreachable, ConnectionLost.
        """
        ...

    def watch(self, job_id: str) -> Feed:
        """The events of a job from its first on; the same feed for everyone who watches it."""
        ...

    async def cancel(self, job_id: str) -> None:
        """Ask that a job be cancelled; its `job.cancelled` event says that it was.

        Raises:
            RequestRefused: `already_ended` or `not_found`.
        """
        ...

    async def aclose(self) -> None:
        """Stop watching. Jobs go on."""
        ...
