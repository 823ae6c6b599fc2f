"""Giving memory back: after a call ran out of it, when models are asked to go, and when nobody has used them."""

import traceback
from collections.abc import Callable
from functools import partial

import structlog

from engine.backend import Backend

logger = structlog.get_logger(__name__)


class Relief:
    """Has the backend give memory back. For the executor thread.

    A backend that cannot is logged, and costs nobody anything by itself: a job that needs the memory will meet the lack
    of it, and fail of that.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether memory is what a call or a job lacked when it raised this."""
        return isinstance(error, Exception) and self._backend.is_out_of_memory(error)

    def free_after(self, error: BaseException) -> None:
        """Free what a call that ran out of memory had in hand, and the caches."""
        # The error knows where it was raised, and what the call had in hand there would outlive the freeing.
        traceback.clear_frames(error.__traceback__)
        self._give_back(self._backend.free_memory)

    def unload_model(self, name: str, reason: str) -> None:
        """See `engine.interface.engine.Engine`."""
        self._give_back(partial(self._backend.unload_model, name, reason))

    def rest(self, idle_s: float) -> None:
        """Give back what nobody has used for so long."""
        self._give_back(partial(self._backend.rest, idle_s))

    def _give_back(self, free: Callable[[], None]) -> None:
        try:
            free()
        except Exception:  # see the class
            logger.exception("engine.free_memory_failed")
