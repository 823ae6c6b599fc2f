"""Widen a mask, narrow it, or turn it round."""

from functools import partial
from pathlib import Path

import numpy as np

from engine import images, masks
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.masks import Mask
from protocol.retouching import AdjustMaskParams, MaskOperation, MaskShape


def adjust_mask(run: Run, context: RunContext) -> Steps:
    """Read, change and keep a mask, in one step on the side pool.

    The output is a grey PNG; its data tell `area_px` and the `box` around it (None if it is empty).

    Raises:
        EngineError: `bad_image`: the mask is no picture.
    """
    params = run.params
    assert isinstance(params, AdjustMaskParams)
    if run.first_image > 0:
        return
    mask: Mask = yield Call(partial(_adjusted, run.inputs["mask"], params, context), Where.POOL, "adjust")
    context.step(1, 1, progress=0.9, stage="adjust")
    context.preview(1, partial(_shown, mask))
    box = masks.bounds(mask)
    around = None if box is None else {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    data = {"area_px": int(mask.sum()), "box": around}
    yield from context.output(0, partial(images.encode_mask, mask), data=data)


def _adjusted(file: Path, params: AdjustMaskParams, context: RunContext) -> Mask:
    mask = masks.decode(file, threshold=params.threshold, warn=context.warn)
    is_box = params.shape is MaskShape.BOX
    match params.operation:
        case MaskOperation.EXPAND:
            return masks.dilate(mask, params.by_px, is_box=is_box)
        case MaskOperation.SHRINK:
            # What lies beyond the edge of the picture counts as masked: the edge itself does not shrink.
            return ~masks.dilate(~mask, params.by_px, is_box=is_box)
        case MaskOperation.REVERSE:
            return ~mask


def _shown(mask: Mask) -> images.Bytes:
    return images.thumbnail(np.repeat(mask[..., None].astype(np.float32), 3, axis=2))
