"""What an executor runs its jobs on."""

from typing import Protocol

from engine.interface import LiveJob, Run, RunContext
from engine.interface.engine import ModelMemory


class Backend(Protocol):
    """What an executor runs: the tasks and the device under them. For the executor thread, but where it says so."""

    def load(self) -> str:
        """Import what is heavy and find the device; returns its name. May take seconds.

        Raises:
            Exception: nothing can run; the message says why.
        """
        ...

    def budget_bytes(self) -> int:
        """Memory that live jobs may need together where they run, if nobody set it. Asked once, after `load`."""
        ...

    def prepare_pool_thread(self) -> None:
        """Called once on each thread of the side pool, after `load` and before the thread's first work."""
        ...

    def open(self, run: Run, context: RunContext) -> LiveJob:
        """Begin a job, without doing any of its work."""
        ...

    def free_memory(self) -> None:
        """Give caches back, after a call ran out of memory."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool: ...

    def memory(self) -> ModelMemory:
        """See `Engine`. Any thread may ask, also before `load`."""
        ...

    def unload_model(self, name: str, reason: str) -> None:
        """See `Engine`."""
        ...

    def rest(self, idle_s: float) -> None:
        """Give back what nobody has used for so long."""
        ...

    def close(self) -> None: ...
