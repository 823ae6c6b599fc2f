"""What is told of models on their way into memory: whatever is begun comes to an end for those who hear of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from protocol.events import EventBody, ModelLoaded, ModelLoading, ModelUnloaded

_GIVEN_UP: Final = "its loading was given up"


class Announcements:
    """Of one residency. For the executor thread, but for calls of itself.

    Args:
        tell: hears the events; from any thread.
    """

    def __init__(self, tell: Callable[[EventBody], None]) -> None:
        self._tell = tell
        self._open: set[str] = set()
        """Models that are said to be loading."""
        self._coming: Counter[str] = Counter()
        """Jobs that wait for each model."""

    def __call__(self, body: EventBody) -> None:
        """Tell an event. From any thread."""
        if isinstance(body, ModelLoading):
            self._open.add(body.model)
        elif isinstance(body, ModelLoaded | ModelUnloaded):
            self._open.discard(body.model)
        self._tell(body)

    @contextmanager
    def coming(self, name: str, present: Callable[[], ModelLoaded | None]) -> Iterator[None]:
        """Within it a job waits for a model. If the last of them leaves before the model is there, it is told.

        Args:
            present: what there is to tell of another variant of it that is in memory.
        """
        self._coming[name] += 1
        try:
            yield
        finally:
            self._coming[name] -= 1
            if not self._coming[name]:
                del self._coming[name]
                if name in self._open:
                    self(present() or ModelUnloaded(model=name, reason=_GIVEN_UP))
