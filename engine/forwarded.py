"""A job's context that hands everything on; what tells it otherwise inherits from it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from engine.interface import PREVIEW_MAX_SIDE_PX, EncodedImage, RunContext, Steps
from protocol.events import EventBody


class Forwarded:
    """The same context. Implements `RunContext`."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.run = context.run

    def emit(self, body: EventBody) -> None:
        self._context.emit(body)

    def warn(self, code: str, message: str) -> None:
        self._context.warn(code, message)

    def image(self, index: int) -> AbstractContextManager[None]:
        return self._context.image(index)

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
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
