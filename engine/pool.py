"""The side pool: threads for calls that need no device, most urgent first.

A plain thread pool serves in order of arrival, so a handful of slow fills would hold up a click. Here the waiting
calls are ordered like the jobs they belong to, and one thread takes interactive work only.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from engine.interface import Order

logger = structlog.get_logger(__name__)


@dataclass(order=True, slots=True)
class _Waiting:
    key: tuple[bool, int, int, int]
    work: Callable[[], None] = field(compare=False)
    is_batch: bool = field(compare=False)


class SidePool:
    """Runs work on threads of its own.

    Args:
        size: threads that take any work; one more takes interactive work only.
        prepare: called once on each thread, before its first work.
    """

    def __init__(self, size: int, prepare: Callable[[], None] = lambda: None) -> None:
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self._size = size
        self._prepare = prepare
        self._batch: list[_Waiting] = []
        self._interactive: list[_Waiting] = []
        self._arrivals = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._takes_batch: dict[threading.Thread, bool] = {}
        """Threads that go on serving, and whether they take any work."""
        self._numbers = itertools.count()

    def start(self) -> None:
        for number in range(self._size + 1):
            self._add_thread(takes_batch=number < self._size)

    def submit(self, order: Order, work: Callable[[], None]) -> None:
        """Run `work` when its turn comes. From any thread.

        What it raises is logged, and nobody else's concern.
        """
        waiting = _Waiting((*order.key(), next(self._arrivals)), work, order.is_batch)
        with self._changed:
            heapq.heappush(self._batch if order.is_batch else self._interactive, waiting)
            if order.is_batch:
                # All are woken: the one thread that `notify` picks might not take this kind of work.
                self._changed.notify_all()
            else:
                self._changed.notify()

    def replace(self, thread: threading.Thread) -> None:
        """Put another thread in the place of one whose work does not come back; if it does, that thread ends."""
        with self._changed:
            takes_batch = self._takes_batch.pop(thread, None)
        if takes_batch is not None:
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
            name=f"safelight-pool-{next(self._numbers)}",
            daemon=True,  # a stuck native call must not keep the process alive
        )
        with self._changed:
            self._takes_batch[thread] = takes_batch
        thread.start()

    def _serve(self, takes_batch: bool) -> None:
        is_prepared = False
        while True:
            with self._changed:
                if threading.current_thread() not in self._takes_batch:
                    return  # replaced
                while not self._stopping and not self._interactive and not (takes_batch and self._batch):
                    self._changed.wait()
                if self._stopping:
                    return
                waiting = heapq.heappop(self._interactive or self._batch)
            try:
                if not is_prepared:
                    is_prepared = True
                    self._prepare()
                waiting.work()
            except BaseException:  # the thread has others to serve
                logger.exception("pool.work_failed")
            del waiting  # or what it refers to would live until the next work comes
