"""A backend that is made where it is used: in the executor thread, after the server already answers."""

from collections.abc import Callable

from engine.backend import Backend
from engine.interface import LiveJob, Run, RunContext
from engine.interface.engine import ModelMemory


class LazyBackend:
    """Implements `engine.backend.Backend`, all of it by the backend that `make` makes when it is loaded.

    Args:
        make: imports and makes the backend; called once, on the executor thread.
    """

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._made: Backend | None = None

    @property
    def _backend(self) -> Backend:
        assert self._made is not None, "the executor loads its backend before it uses it"
        return self._made

    def load(self) -> str:
        self._made = self._make()
        return self._made.load()

    def budget_bytes(self) -> int:
        return self._backend.budget_bytes()

    def prepare_pool_thread(self) -> None:
        self._backend.prepare_pool_thread()

    def open(self, run: Run, context: RunContext) -> LiveJob:
        return self._backend.open(run, context)

    def free_memory(self) -> None:
        self._backend.free_memory()

    def is_out_of_memory(self, error: Exception) -> bool:
        return self._backend.is_out_of_memory(error)

    def memory(self) -> ModelMemory:
        return ModelMemory() if self._made is None else self._made.memory()

    def unload_model(self, name: str, reason: str) -> None:
        self._backend.unload_model(name, reason)

    def rest(self, idle_s: float) -> None:
        self._backend.rest(idle_s)

    def close(self) -> None:
        self._backend.close()
