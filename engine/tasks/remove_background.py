"""Cut the subject out of a picture with U2-Net."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes, Floats, Picture, decode, encode_for, encode_mask, thumbnail, written_as
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.models.catalogue import find
from engine.models.files import is_present
from engine.models.onnx_session import Session, open_session
from engine.models.residency import Residency
from engine.origin import TRANSPARENT, FileFormat
from engine.steps import twice
from protocol.editing import BackgroundResult, RemoveBackgroundParams

_SIDE_PX: Final = 320
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
_STEPS: Final = 3
_CHECK_PX: Final = 16


def remove_background(run: Run, context: RunContext, residency: Residency) -> Steps:
    """Read, find the subject (one device call, `infer`), compose, keep.

    The full U2-Net is used if its file is there, else the small one.

    Warns:
        alpha_flattened: a cut-out is to be a file without transparency, as JPEG; it is laid on white.
    """
    assert isinstance(run.params, RemoveBackgroundParams)
    params = run.params
    picture: Picture = yield Call(lambda: decode(run.inputs["image"], warn=context.warn), Where.POOL, "read")
    name = "u2net" if is_present(find("u2net"), residency.models_dir) else "u2netp"
    session = yield from residency.use(name, open_session)
    context.step(1, _STEPS, progress=0.2, stage="read")
    small: Floats = yield from twice(Call(lambda: infer(session, picture), stage="infer"))
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

    yield from context.output(0, finish, data={"result": params.result.value, "model": name})


def infer(session: Session, picture: Picture) -> Floats:
    """How much each pixel belongs to the subject.

    Returns:
        (320, 320) float32, stretched so that it reaches from 0 to 1; all 0 if the network sees no difference.

    Source: Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.
    """
    import cv2

    resized = cv2.resize(picture.rgb, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    pixels = np.asarray(resized, np.float32)
    pixels = (pixels / max(float(pixels.max()), 1e-6) - _MEAN) / _DEVIATION
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    # The first output is the fused map; the others are its stages, of use in training only.
    (salience, *_) = session.run(None, {session.get_inputs()[0].name: planes})
    mask: NDArray[np.float32] = np.asarray(salience, np.float32)[0, 0]
    low, high = float(mask.min()), float(mask.max())
    return (mask - low) / (high - low) if high - low > 1e-6 else np.zeros_like(mask)


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
        return Picture(np.repeat(mask[..., None], 3, axis=2), origin=picture.origin)
    return replace(picture, alpha=mask)
