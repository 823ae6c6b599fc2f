"""Make pictures from a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.diffusion.canvas import resize
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Floats, Picture
from engine.interface import Run, RunContext, Steps
from engine.made import Take
from protocol.generation import TextToImageParams


def text_to_image(run: Run, context: RunContext, studio: Studio, *, take: Take | None = None) -> Steps:
    """One output per image, of the size asked or the model's own; a step each time the denoiser was called.

    A model that works at one size only (`show_px` in its defaults) makes its picture there, and it is enlarged.

    Args:
        take: gets the pictures in the place of outputs.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`.
    """
    return generate(run, context, studio, PipelineKind.TEXT_TO_IMAGE, _compose, take=take)


@dataclass(frozen=True, slots=True)
class _FromNothing:
    """Implements `engine.diffusion.scene.Scene`."""

    size: Size
    asked: Size

    def arguments(self) -> Mapping[str, Any]:
        return {"width": self.size.width, "height": self.size.height}

    @property
    def subject(self) -> None:
        return None

    @property
    def whole(self) -> Size:
        return self.asked

    def guide(self, picture: Floats) -> Floats:
        return resize(picture, self.size)

    def finish(self, generated: Floats) -> Picture:
        return Picture(resize(generated, self.asked))


def _compose(run: Run, _context: RunContext, model: ReadyModel) -> _FromNothing:
    params = run.params
    assert isinstance(params, TextToImageParams)
    default = model.default_size
    asked = Size(params.width or default.width, params.height or default.height)
    return _FromNothing(model.working.exactly(asked), asked)
