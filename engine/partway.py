"""A job's context for the last part of its work."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from engine.interface import PREVIEW_MAX_SIDE_PX, EncodedImage, RunContext, Steps
from protocol.events import EventBody


class Partway:
    """The same context, in which progress goes on from where the work before has ended. Implements `RunContext`.

    Args:
        since: how much of the whole job is done, 0..1.
    """

    def __init__(self, context: RunContext, *, since: float) -> None:
        self._context = context
        self._since = since
        self.run = context.run

    def emit(self, body: EventBody) -> None:
        self._context.emit(body)

    def warn(self, code: str, message: str) -> None:
        self._context.warn(code, message)

    def image(self, index: int) -> AbstractContextManager[None]:
        return self._context.image(index)

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        progress = self._since + (1 - self._since) * progress
        self._context.step(step, steps, image=image, progress=progress, stage=stage)

    @property
    def wants_previews(self) -> bool:
        return self._context.wants_previews

    def preview(
        self, step: int, picture: Callable[[], Any], *, image: int = 0, max_px: int = PREVIEW_MAX_SIDE_PX
    ) -> None:
        self._context.preview(step, picture, image=image, max_px=max_px)

    def output(
        self,
        index: int,
        encode: Callable[[], EncodedImage],
        *,
        seed: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Steps:
        return self._context.output(index, encode, seed=seed, data=data)
