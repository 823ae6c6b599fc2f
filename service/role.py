"""What a server is beside its sockets: everything in one, or the gateway of a cluster."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol


class Role(Protocol):
    """See the module; `service.lifecycle` calls it, in this order. For the event loop only."""

    on_ready: Callable[[], None]
    """Called once what is loaded late is there: what is in memory then stays, what comes later are mostly jobs."""

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What is to run in the background, with its name."""
        ...

    async def take_over(self) -> None:
        """Come to know of the jobs there are, before anybody is let in; then begin to work."""
        ...

    def pause(self) -> None:
        """Begin no more work."""
        ...

    async def stop(self, timeout_s: float) -> None:
        """Do no more work, and hand back what is being done."""
        ...

    async def settle(self, timeout_s: float) -> None:
        """Wait until what was done is passed on."""
        ...

    async def close(self) -> None:
        """After everything else has ended, however it did."""
        ...
