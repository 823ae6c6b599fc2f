"""A job's context for the last part of its work."""

from engine.forwarded import Forwarded
from engine.interface import RunContext


class Partway(Forwarded):
    """The same context, in which progress goes on from where the work before has ended. Implements `RunContext`.

    Args:
        since: how much of the whole job is done, 0..1.
    """

    def __init__(self, context: RunContext, *, since: float) -> None:
        super().__init__(context)
        self._since = since

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        super().step(step, steps, image=image, progress=self._since + (1 - self._since) * progress, stage=stage)
