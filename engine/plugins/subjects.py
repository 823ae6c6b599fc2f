"""Having a model find the subject of a picture, as calls of a job. Importing this loads no torch."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.images import Floats, Picture, to_uint8
from engine.interface import Call
from engine.models.catalogue import find
from engine.models.files import is_present, locate
from engine.models.onnx_session import open_session
from engine.models.residency import Residency
from engine.plugins.backgrounds import RECIPES, Network, OnnxMap, find_subject
from engine.plugins.files import PluginFiles
from engine.steps import twice
from protocol.editing import BackgroundModel, Clothes

_CLOTHES: Final = {Clothes.ALL: None, Clothes.UPPER: 1, Clothes.LOWER: 2, Clothes.WHOLE: 3}
"""The channel that the network of clothes has for each; None is all of them."""


def chosen_model(model: BackgroundModel, residency: Residency) -> BackgroundModel:
    """What `auto` stands for; the others stand for themselves."""
    if model is not BackgroundModel.AUTO:
        return model
    has_full = is_present(find("u2net"), residency.models_dir)
    return BackgroundModel.U2NET if has_full else BackgroundModel.U2NETP


def bring_subject_model(
    model: BackgroundModel, residency: Residency, plugins: PluginFiles
) -> Generator[Call, Any, None]:
    """See that the file of a model is there, and bring it if it can be brought.

    Raises:
        EngineError: `model_missing`, `forbidden`.
    """
    published = RECIPES[chosen_model(model, residency)].published
    if published is None:
        locate(chosen_model(model, residency).value, residency.models_dir)
    else:
        yield from plugins.bring(published)


def use_subject_model(
    model: BackgroundModel, residency: Residency, plugins: PluginFiles
) -> Generator[Call, Any, Network]:
    """The network of a model, which is not `auto`, loaded if it must be. Use with `yield from`.

    Raises:
        EngineError: `model_missing`, `forbidden`, `bad_model`.
    """
    published = RECIPES[model].published
    if published is None:
        return OnnxMap((yield from residency.use(model.value, open_session)))
    return (yield from plugins.use(published, residency, _load))


def subject_share(
    network: Network, model: BackgroundModel, picture: Picture, clothes: Clothes
) -> Generator[Call, Any, Floats]:
    """How much of each place is subject, one device call of stage `infer`; see `find_subject`."""
    look = Call(
        lambda: find_subject(network, RECIPES[model], to_uint8(picture.rgb), only=_CLOTHES[clothes]), stage="infer"
    )
    share: Floats = yield from twice(look)
    return share


def spread(small: Floats, picture: Picture) -> Floats:
    """What was found, stretched over the picture: (H, W) in [0, 1], less where that is transparent."""
    import cv2

    resized = cv2.resize(small, (picture.width, picture.height), interpolation=cv2.INTER_LINEAR)
    mask: Floats = np.clip(np.asarray(resized, np.float32), 0, 1)
    return mask if picture.alpha is None else mask * picture.alpha


def _load(path: Path, device: str) -> Network:
    if path.suffix == ".onnx":
        return OnnxMap(open_session(path, device))
    from engine.plugins.isnet import load_isnet

    return load_isnet(path, device)
