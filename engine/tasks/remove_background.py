"""Cut the subject out of a picture."""

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.images import Bytes, Floats, Picture, decode, encode_for, encode_mask, thumbnail, to_uint8, written_as
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.models.catalogue import find
from engine.models.files import is_present
from engine.models.onnx_session import open_session
from engine.models.residency import Residency
from engine.origin import TRANSPARENT, FileFormat, Origin
from engine.plugins.backgrounds import RECIPES, Network, OnnxMap, find_subject
from engine.plugins.files import PluginFiles
from engine.steps import twice
from protocol.editing import BackgroundModel, BackgroundResult, RemoveBackgroundParams

_STEPS: Final = 3
_CHECK_PX: Final = 16


def remove_background(run: Run, context: RunContext, residency: Residency, plugins: PluginFiles | None = None) -> Steps:
    """Read, find the subject (one device call, `infer`), compose, keep.

    Raises:
        EngineError: `model_missing`, `forbidden`: of the model that was asked for.

    Warns:
        alpha_flattened: a cut-out is to be a file without transparency, as JPEG; it is laid on white.
    """
    assert isinstance(run.params, RemoveBackgroundParams)
    params = run.params
    read = partial(decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    picture: Picture = yield Call(read, Where.POOL, "read")
    model = params.model
    if model is BackgroundModel.AUTO:
        has_full = is_present(find("u2net"), residency.models_dir)
        model = BackgroundModel.U2NET if has_full else BackgroundModel.U2NETP
    network = yield from _use(model, residency, plugins or PluginFiles(models_dir=residency.models_dir))
    context.step(1, _STEPS, progress=0.2, stage="read")
    small: Floats = yield from twice(
        Call(lambda: find_subject(network, RECIPES[model], to_uint8(picture.rgb)), stage="infer")
    )
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


def _use(model: BackgroundModel, residency: Residency, plugins: PluginFiles) -> Generator[Call, Any, Network]:
    published = RECIPES[model].published
    if published is None:
        return OnnxMap((yield from residency.use(model.value, open_session)))
    return (yield from plugins.use(published, residency, _load))


def _load(path: Path, device: str) -> Network:
    if path.suffix == ".onnx":
        return OnnxMap(open_session(path, device))
    from engine.plugins.isnet import load_isnet

    return load_isnet(path, device)


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
    import cv2

    resized = cv2.resize(small, (picture.width, picture.height), interpolation=cv2.INTER_LINEAR)
    mask: Floats = np.clip(np.asarray(resized, np.float32), 0, 1)
    if picture.alpha is not None:
        mask = mask * picture.alpha
    if result is BackgroundResult.MASK:
        # Of the format alone: a mask has no colours that a profile could be of.
        origin = None if picture.origin is None else Origin(format=picture.origin.format)
        return Picture(np.repeat(mask[..., None], 3, axis=2), origin=origin)
    return replace(picture, alpha=mask)
