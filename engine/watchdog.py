"""Notices calls that outlive their deadline.

A running call cannot be killed, only told of: once, while it is certain not to have come back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Owner = TypeVar("Owner")

_INTERVAL_S: Final = 0.1


@dataclass(slots=True, eq=False)
class Watched(Generic[Owner]):
    """A call that is being run.

    Attributes:
        thread: on which.
        stage: of the call.
        is_late: it was reported.
    """

    owner: Owner
    stage: str
    limit_s: float
    thread: threading.Thread = field(default_factory=threading.current_thread)
    started_at: float = field(default_factory=time.monotonic)
    is_late: bool = False


class Watchdog(Generic[Owner]):
    """Watches running calls from a thread of its own.

    Args:
        report: called once for each late call, on the watchdog's thread. Until it returns, `end` of any call waits: a
            call that is being reported has not come back. It must be quick, and must not begin or end a call.
    """

    def __init__(self, report: Callable[[Watched[Owner]], None]) -> None:
        self._report = report
        self._running: set[Watched[Owner]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="safelight-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Report nothing more."""
        self._stopped.set()

    def begin(self, owner: Owner, stage: str, limit_s: float) -> Watched[Owner]:
        """The calling thread runs a call of `owner` from now on."""
        watched = Watched(owner, stage, limit_s)
        with self._lock:
            self._running.add(watched)
        return watched

    def end(self, watched: Watched[Owner]) -> bool:
        """The call has come back; returns whether it had been reported."""
        with self._lock:
            self._running.discard(watched)
            return watched.is_late

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            with self._lock:
                now = time.monotonic()
                for watched in self._running:
                    if not watched.is_late and now - watched.started_at >= watched.limit_s:
                        watched.is_late = True
                        self._report(watched)
