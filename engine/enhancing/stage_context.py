"""A job's context for one stage of one of its images."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from engine.forwarded import Forwarded
from engine.interface import PREVIEW_MAX_SIDE_PX, RunContext


class StageContext(Forwarded):
    """The same context, in which a stage is a part of an image, and warnings are told once. Implements `RunContext`.

    Args:
        context: of the job.
        images: of the job.
        index: of the image that is made.
        since, until: what share of that image is done before the stage and after it, 0..1.
        told: what was warned of before; shared by all stages of a job.
    """

    def __init__(
        self, context: RunContext, *, images: int, index: int, since: float, until: float, told: set[str]
    ) -> None:
        super().__init__(context)
        self._images = images
        self._index = index
        self._since = since
        self._until = until
        self._told = told

    def part(self, since: float, until: float) -> "StageContext":
        """For a part of the stage, between these shares of it."""
        length = self._until - self._since
        return StageContext(
            self._context,
            images=self._images,
            index=self._index,
            since=self._since + length * since,
            until=self._since + length * until,
            told=self._told,
        )

    def warn(self, code: str, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            super().warn(code, message)

    def image(self, _index: int) -> AbstractContextManager[None]:
        """Whoever goes through the stages has said so already: to skip one is to skip the image."""
        return nullcontext()

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        """
        Args:
            image: 0 where the stage makes one picture alone, else `index`: one that makes the image of this number of
                a job of no more images.
        """
        of_stage = min(max(progress * (image + 1) - image, 0.0), 1.0)
        of_image = self._since + (self._until - self._since) * of_stage
        whole = (self._index + of_image) / self._images
        super().step(step, steps, image=self._index, progress=whole, stage=stage)

    def preview(
        self,
        step: int,
        picture: Callable[[], Any],
        *,
        image: int = 0,  # noqa: ARG002 - the protocol's; of a stage there is one alone
        max_px: int = PREVIEW_MAX_SIDE_PX,
    ) -> None:
        super().preview(step, picture, image=self._index, max_px=max_px)
