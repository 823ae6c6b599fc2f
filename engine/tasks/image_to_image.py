"""Make pictures from a prompt and a picture to start from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from engine import images
from engine.diffusion.canvas import resize
from engine.diffusion.control_pictures import Subject
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.diffusion.tiled_vae import TILE_PX
from engine.images import Floats, Picture
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.made import Made, Take
from engine.origin import Origin
from engine.partway import Partway
from engine.plugins.files import PluginFiles
from engine.safety.censoring import look_at
from engine.safety.checkers import SafetyChecker, bring_checker
from engine.tasks.upscale import chosen_model, enlarge, largest_factor, sign_enlarged
from protocol.editing import UpscaleModel
from protocol.generation import ImageToImageParams
from protocol.replay import SizeRule

Read: TypeAlias = Callable[[], Picture]
"""On the side pool."""
MOST_AREA: Final = 2.25
"""A picture nobody gave a size for is worked on at no more than this many times the model's own area."""
MOST_REDRAWN_PX: Final = 2800
"""Side of the largest square that an enlarged picture is made anew at."""
_MOST_SIDES: Final = 2
"""With `size_rule` model, the side of a square of the picture's area, in native sides."""
_ENLARGED: Final = 0.2
"""Share of the whole job."""


def image_to_image(
    run: Run,
    context: RunContext,
    studio: Studio,
    plugins: PluginFiles | None = None,
    *,
    read: Read | None = None,
    take: Take | None = None,
) -> Steps:
    """One output per image, of the size asked or the picture's own; transparency is laid on white.

    With `upscale` the calls and steps of the task `upscale` come first. What it made is then worked on as a whole,
    between tiles of the VAE, or is the output itself where it is too large for that.

    Args:
        read: gives the picture; by default the request's is read.
        take: gets the pictures in the place of outputs.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`.

    Warns:
        upscale_only: the enlarged picture is too large to be made anew.
    """
    params = run.params
    assert isinstance(params, ImageToImageParams)
    if read is None:
        read = partial(images.decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    if params.upscale is None:
        return generate(run, context, studio, PipelineKind.IMAGE_TO_IMAGE, partial(_compose, read), take=take)
    return _upscaled(run, context, studio, plugins, params, read, take)


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

    @property
    def whole(self) -> Size:
        return self.asked

    def guide(self, picture: Floats) -> Floats:
        return resize(picture, self.size)

    def finish(self, generated: Floats) -> Picture:
        return Picture(resize(generated, self.asked), origin=self.origin)


def _upscaled(
    run: Run,
    context: RunContext,
    studio: Studio,
    plugins: PluginFiles | None,
    params: ImageToImageParams,
    read: Read,
    take: Take | None,
) -> Steps:
    assert params.upscale is not None
    model = params.upscale_model or UpscaleModel.AUTO
    picture: Picture = yield Call(read, Where.POOL, "read")
    side_px = math.sqrt(picture.width * picture.height) * params.upscale
    is_redrawn = side_px <= MOST_REDRAWN_PX
    checker: SafetyChecker | None = None
    if params.safety_check and not is_redrawn:
        checker = yield from bring_checker(studio.plugins, studio.residency)
    enlarged = yield from enlarge(
        picture,
        params.upscale,
        model,
        studio.residency,
        plugins,
        context,
        until=_ENLARGED if is_redrawn else 0.9,
        # Before a picture was looked at nobody is to see it.
        shows=not (is_redrawn or params.safety_check),
    )
    if is_redrawn:
        rest = Partway(context, since=_ENLARGED)
        compose = partial(_compose, lambda: enlarged)
        yield from generate(run, rest, studio, PipelineKind.IMAGE_TO_IMAGE, compose, tile_px=TILE_PX, take=take)
        return
    message = f"an enlarged picture of {enlarged.width} x {enlarged.height} px is too large to be made anew"
    context.warn("upscale_only", f"{message}; it is the output as Real-ESRGAN made it")
    result = Picture(images.on_white(enlarged), origin=enlarged.origin)
    used, factor = chosen_model(model, studio.residency.device), min(params.upscale, largest_factor(picture))
    data: dict[str, Any] = {"model": used.value, "factor": round(factor, 4)}
    if checker is not None:
        seen = yield from look_at(result, run.first_image, checker, context.warn)
        result, data["is_censored"] = seen.picture, seen.is_censored
    result = yield Call(partial(sign_enlarged, result, used, factor, params, context.warn), Where.POOL, "finish")
    if take is not None:
        take(Made(result, None, data))
        return
    encode = partial(images.encode_for, result, params)
    for index in range(run.first_image, params.images):
        with context.image(index):
            yield from context.output(index, encode, data=data)


def _compose(read: Read, run: Run, _context: RunContext, model: ReadyModel) -> _FromPicture:
    params, working = run.params, model.working
    assert isinstance(params, ImageToImageParams)
    picture: Picture = read()
    own = Size(picture.width, picture.height)
    asked = Size(params.width or own.width, params.height or own.height)
    if params.width is not None or params.height is not None:
        size = working.exactly(asked)
    elif working.is_fixed:
        size = working.natively(asked)
    elif params.upscale is not None:
        asked = working.between(own, 1, math.inf)
        size = working.exactly(asked)
    elif params.size_rule is SizeRule.MODEL:
        asked = working.between(own, 1, _MOST_SIDES)
        size = working.exactly(asked)
    else:
        size = working.at_most(asked, MOST_AREA)
    start = resize(images.on_white(picture), size)
    return _FromPicture(size, asked, start, params.strength, picture.origin)
