"""What a generating task starts from, and what becomes of what the model makes."""

from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias

from engine.diffusion.control_pictures import Subject
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel
from engine.images import Floats, Picture
from engine.interface import Call, Run, RunContext


class Scene(Protocol):
    """What a picture is made from, and what becomes of what the model makes."""

    @property
    def size(self) -> Size:
        """At which the model works."""
        ...

    @property
    def whole(self) -> Size:
        """Of what a picture lies over that lies over the whole output: of the same shape as the output."""
        ...

    def arguments(self) -> Mapping[str, Any]:
        """What the pipeline is given beside prompt and sampling."""
        ...

    @property
    def subject(self) -> Subject | None:
        """The job's own picture, at the size the model works at; None if it has none. On the side pool."""
        ...

    def guide(self, picture: Floats) -> Floats:
        """A picture that lies over the whole output, as the model has to see it. On the side pool.

        Args:
            picture: (H, W, 3) of any size.

        Returns:
            (size.height, size.width, 3).
        """
        ...

    def finish(self, generated: Floats) -> Picture:
        """The output. On the side pool.

        Args:
            generated: (size.height, size.width, 3), RGB in [0, 1].
        """
        ...


Compose: TypeAlias = Callable[[Run, RunContext, ReadyModel], Scene]
"""Reads what the picture is made from. On the side pool."""
Develop: TypeAlias = Callable[[Scene], Generator[Call, Any, Scene]]
"""What other networks do to a scene before the model sees it."""
