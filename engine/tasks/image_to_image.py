"""Make pictures from a prompt and a picture to start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine import images
from engine.diffusion.canvas import resize
from engine.diffusion.control_pictures import Subject
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Floats, Picture
from engine.interface import Run, RunContext, Steps
from engine.origin import Origin
from protocol.generation import ImageToImageParams

MOST_AREA: Final = 2.25
"""A picture nobody gave a size for is worked on at no more than this many times the model's own area."""


def image_to_image(run: Run, context: RunContext, studio: Studio) -> Steps:
    """One output per image, of the size asked or the picture's own; transparency is laid on white.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`.
    """
    return generate(run, context, studio, PipelineKind.IMAGE_TO_IMAGE, _compose)


@dataclass(frozen=True, slots=True)
class _FromPicture:
    """Implements `engine.diffusion.scene.Scene`."""

    size: Size
    asked: Size
    start: Floats
    """(size.height, size.width, 3)."""
    strength: float
    origin: Origin | None

    def arguments(self) -> Mapping[str, Any]:
        return {
            "image": images.to_tensor(self.start),
            "strength": self.strength,
            "width": self.size.width,
            "height": self.size.height,
        }

    @property
    def subject(self) -> Subject:
        return Subject(self.start)

    def guide(self, picture: Floats) -> Floats:
        return resize(picture, self.size)

    def finish(self, generated: Floats) -> Picture:
        return Picture(resize(generated, self.asked), origin=self.origin)


def _compose(run: Run, context: RunContext, model: ReadyModel) -> _FromPicture:
    params = run.params
    assert isinstance(params, ImageToImageParams)
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    own = Size(picture.width, picture.height)
    asked = Size(params.width or own.width, params.height or own.height)
    is_asked = params.width is not None or params.height is not None
    size = model.working.exactly(asked) if is_asked else model.working.at_most(asked, MOST_AREA)
    start = resize(images.on_white(picture), size)
    return _FromPicture(size, asked, start, params.strength, picture.origin)
