"""Cut the subject out of a picture."""

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from engine.images import Bytes, Floats, Picture, decode, encode_for, encode_mask, thumbnail, written_as
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.origin import TRANSPARENT, FileFormat, Origin
from engine.plugins.files import PluginFiles
from engine.plugins.subjects import chosen_model, spread, subject_share, use_subject_model
from protocol.editing import BackgroundModel, BackgroundResult, Clothes, RemoveBackgroundParams

_STEPS: Final = 3
_CHECK_PX: Final = 16


def remove_background(run: Run, context: RunContext, residency: Residency, plugins: PluginFiles | None = None) -> Steps:
    """Read, find the subject (one device call, `infer`), compose, keep.

    Raises:
        EngineError: `model_missing`, `forbidden`: of the model that was asked for.

    Warns:
        clothes_unused: the model does not tell them apart.
        alpha_flattened: a cut-out is to be a file without transparency, as JPEG; it is laid on white.
    """
    assert isinstance(run.params, RemoveBackgroundParams)
    params = run.params
    read = partial(decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    picture: Picture = yield Call(read, Where.POOL, "read")
    model = chosen_model(params.model, residency)
    if params.clothes is not Clothes.ALL and model is not BackgroundModel.U2NET_CLOTH_SEG:
        context.warn("clothes_unused", f"clothes: {model.value} knows no clothes; the model u2net_cloth_seg does")
    network = yield from use_subject_model(model, residency, plugins or PluginFiles(models_dir=residency.models_dir))
    context.step(1, _STEPS, progress=0.2, stage="read")
    small = yield from subject_share(network, model, picture, params.clothes)
    context.step(2, _STEPS, progress=0.8, stage="infer")
    result: Picture = yield Call(lambda: _compose(picture, small, params.result), Where.POOL, "compose")
    context.step(_STEPS, _STEPS, progress=0.9, stage="compose")
    context.preview(_STEPS, lambda: on_checks(result))
    is_cutout = params.result is BackgroundResult.CUTOUT
    file_format = written_as(picture, params.format)
    if is_cutout and file_format not in TRANSPARENT:
        name_of_format = file_format.value.upper()
        context.warn("alpha_flattened", f"{name_of_format} has no transparency: the cut-out was laid on white")

    def finish() -> EncodedImage:
        if not is_cutout and file_format is FileFormat.PNG:
            return encode_mask(result.rgb[..., 0])  # one channel rather than three equal ones
        return encode_for(result, params)

    yield from context.output(0, finish, data={"result": params.result.value, "model": model.value})


def on_checks(picture: Picture) -> Bytes:
    """A thumbnail on the grey checks that stand for transparency: (h, w, 3) uint8."""
    rgb: Floats = picture.rgb
    if picture.alpha is not None:
        rows, columns = np.indices(picture.alpha.shape) // _CHECK_PX
        checks: Floats = np.full((*picture.alpha.shape, 1), 0.95, np.float32)
        checks[(rows + columns) % 2 == 1] = 0.8
        alpha = picture.alpha[..., None]
        rgb = rgb * alpha + checks * (1 - alpha)
    return thumbnail(rgb)


def _compose(picture: Picture, small: Floats, result: BackgroundResult) -> Picture:
    mask = spread(small, picture)
    if result is BackgroundResult.MASK:
        # Of the format alone: a mask has no colours that a profile could be of.
        origin = None if picture.origin is None else Origin(format=picture.origin.format)
        return Picture(np.repeat(mask[..., None], 3, axis=2), origin=origin)
    return replace(picture, alpha=mask)
