"""The side pool: threads for calls that need no device, most urgent first.

A plain thread pool serves in order of arrival, so a handful of slow fills would hold up a click. Here the waiting
calls are ordered like the jobs they belong to, and one thread takes interactive work only.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.interface import Order


@dataclass(order=True, slots=True)
class _Waiting:
    key: tuple[bool, int, int, int]
    work: Callable[[], None] = field(compare=False)
    is_batch: bool = field(compare=False)


class SidePool:
    """Runs work on threads of its own.

    Args:
        size: threads that take any work; one more takes interactive work only.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self._size = size
        self._batch: list[_Waiting] = []
        self._interactive: list[_Waiting] = []
        self._arrivals = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(self._size + 1):
            self._add_thread(takes_batch=number < self._size)

    def submit(self, order: Order, work: Callable[[], None]) -> None:
        """Run `work` when its turn comes. It must not raise. From any thread."""
        waiting = _Waiting((*order.key(), next(self._arrivals)), work, order.is_batch)
        with self._changed:
            heapq.heappush(self._batch if order.is_batch else self._interactive, waiting)
            # All are woken: the one thread that `notify` picks might not take this kind of work.
            self._changed.notify_all()

    def replace_stuck_thread(self, *, takes_batch: bool = True) -> None:
        """Add a thread in place of one whose work does not come back."""
        self._add_thread(takes_batch=takes_batch)

    def stop(self) -> None:
        """Take no more work. Threads end after what they are doing; nobody waits for them."""
        with self._changed:
            self._stopping = True
            self._batch.clear()
            self._interactive.clear()
            self._changed.notify_all()

    def _add_thread(self, *, takes_batch: bool) -> None:
        thread = threading.Thread(
            target=self._serve,
            args=(takes_batch,),
            name=f"safelight-pool-{len(self._threads)}",
            daemon=True,  # a stuck native call must not keep the process alive
        )
        self._threads.append(thread)
        thread.start()

    def _serve(self, takes_batch: bool) -> None:
        while True:
            with self._changed:
                while not self._stopping and not self._interactive and not (takes_batch and self._batch):
                    self._changed.wait()
                if self._stopping:
                    return
                waiting = heapq.heappop(self._interactive or self._batch)
            waiting.work()
