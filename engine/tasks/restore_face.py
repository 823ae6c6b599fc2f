"""Make the faces of a picture sharp and whole again."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.images import Bytes, Floats, Picture, decode, encode_for, on_white, thumbnail, to_uint8
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.steps import twice
from engine.tasks.upscale import enlarge
from protocol.retouching import FaceModel, RestoreFaceParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.describing.faces import Face, FaceFinder, FaceWithPoints
    from engine.plugins.restorers import Restorer

_FACE_FINDER: Final = "centerface"
_FILES: Final = {FaceModel.GFPGAN: "GFPGANv1.4", FaceModel.RESTOREFORMER: "RestoreFormer"}
_FINDING: Final = 0.1
_ENHANCED: Final = 0.5
_RESTORED: Final = 0.95
"""Shares of the whole job."""


def restore_face(run: Run, context: RunContext, residency: Residency, plugins: PluginFiles | None = None) -> Steps:
    """Read, find the faces, make each anew in its upright square and lay it back; keep.

    Finding is a device call and a step of stage `find`, each face one of stage `restore`. With `enhance_background`
    the calls and steps of `upscale` come first. Alpha stays as it is.

    Raises:
        EngineError: `model_missing`: the weights are not there.

    Warns:
        nothing_found: there is no face, or none large enough.
    """
    params = run.params
    assert isinstance(params, RestoreFaceParams)
    if run.first_image > 0:
        return
    # Before anything is done: the weights come in no package.
    plugins = plugins or PluginFiles(models_dir=residency.models_dir)
    yield from plugins.bring(_FILES[params.model])
    read = partial(decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    picture: Picture = yield Call(read, Where.POOL, "read")
    result, start = picture, 0.0
    if params.enhance_background:
        start = _ENHANCED
        result = yield from enlarge(picture, 1.0, params.background_model, residency, plugins, context, until=start)
    finder = yield from residency.use(_FACE_FINDER, _load_finder)
    image = to_uint8(on_white(picture))
    faces: list[FaceWithPoints] = yield from twice(
        Call(lambda: finder.find_with_points(image, params.min_confidence), stage="find")
    )
    found_at = start + _FINDING if faces else _RESTORED
    context.step(1, len(faces) + 1, progress=found_at, stage="find")
    restored: list[Face] = []
    for number, found in enumerate(faces, start=2):
        # The first loads it; by the others it is there, unless the memory was needed.
        network = yield from plugins.use(_FILES[params.model], residency, _load_restorer)
        rgb: Floats | None = yield from twice(
            Call(partial(_restore, network, image, result.rgb, found.points), stage="restore")
        )
        if rgb is not None:
            result = result.with_rgb(rgb)
            restored.append(found.face)
        share = (number - 1) / len(faces)
        progress = found_at + (_RESTORED - found_at) * share
        context.step(number, len(faces) + 1, progress=progress, stage="restore")
        context.preview(number, partial(thumbnail, result.rgb))
    if not restored:
        context.warn("nothing_found", "no face was found that could be restored")
    data = {"model": params.model.value, "faces": [asdict(face) for face in restored]}
    yield from context.output(0, partial(encode_for, result, params), data=data)


def _restore(network: "Restorer", image: Bytes, rgb: Floats, points: "NDArray[np.float32]") -> Floats | None:
    """The picture with one face made anew; None if that is too small, or its points fit no face."""
    from engine.plugins import alignment
    from engine.plugins.restorers import restore

    matrix = alignment.placement(points) if alignment.is_large_enough(points) else None
    if matrix is None:
        return None
    return alignment.lay_back(rgb, restore(network, alignment.take_out(image, matrix)), matrix)


def _load_finder(path: Path, _device: str) -> "FaceFinder":
    from engine.describing.faces import FaceFinder

    return FaceFinder(path)


def _load_restorer(path: Path, device: str) -> "Restorer":
    from engine.plugins.restorers import load_restorer

    return load_restorer(path, device)
