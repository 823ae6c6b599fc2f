"""Remove what a mask or regions cover, and fill the hole from the rest of the picture."""

from functools import partial
from typing import Final

from engine import images, masks
from engine.inpainting.canvas import Canvas
from engine.inpainting.erasers import Erasers
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.tasks.erase_whole import erase_whole
from engine.tasks.fill_holes import JOIN_PX, MOST_HOLES, fill_holes
from protocol.erasing import EraseParams

_READ: Final = 0.05
_FILLED: Final = 0.95


def erase(run: Run, context: RunContext, erasers: Erasers) -> Steps:
    """Fill what is masked: one output of the size of the image; transparency is filled like colour.

    With a model named in the request all is filled at once, see `erase_whole`. Otherwise a step is one hole: parts of
    the mask that lie apart are filled one after another. Outside the mask, `grow_px` and `feather_px` around it, every
    pixel keeps its value. An empty mask gives the picture back, with the warning `empty_mask`.

    Raises:
        EngineError: `bad_image`; `invalid_params`: the mask has another size, or leaves nothing to fill from; what
            `Erasers.use` raises.
    """
    params = run.params
    assert isinstance(params, EraseParams)
    if run.first_image > 0:
        return
    if params.model is not None:
        yield from erase_whole(run, context, erasers)
        return
    # Finding the groups takes a moment in a large picture: beside the device thread, like the reading.
    canvas: Canvas = yield Call(partial(_open, run, params, context), where=Where.POOL, stage="read")
    if canvas.holes == 0:
        context.warn("empty_mask", "the mask is empty: there was nothing to erase, the picture is unchanged")
    yield from fill_holes(context, canvas, start=_READ, end=_FILLED)
    encode = partial(images.encode_for, canvas.result(), params)
    yield from context.output(0, encode, seed=params.seed)


def _open(run: Run, params: EraseParams, context: RunContext) -> Canvas:
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    mask = masks.from_regions(params.regions, picture.width, picture.height)
    if "mask" in run.inputs:
        mask |= masks.for_picture(run.inputs["mask"], picture.width, picture.height)
    groups = masks.groups(masks.grow(mask, params.grow_px), join_px=JOIN_PX, most=MOST_HOLES)
    return Canvas(picture, groups, method=params.method, feather_px=params.feather_px, seed=params.seed)
