"""Control pictures that take a network: its files, and its place in memory."""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from engine.images import Floats
from engine.interface import Call, EngineError, RunContext, Where
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.plugins.published import PLUGIN_MODELS
from engine.steps import twice
from protocol.errors import ErrorCode
from protocol.guides import Preprocess

if TYPE_CHECKING:
    from engine.preprocessing.depth_network import DepthNetwork
    from engine.preprocessing.pose_network import Maps, PoseNetwork

BY_NETWORK: Final = frozenset({Preprocess.DEPTH, Preprocess.OPENPOSE})

_DEPTHS: Final = ("dpt-hybrid-midas", "dpt-large")
"""The better first; whichever is there."""
_POSES: Final = "body_pose_model"


def seen_by_network(
    preprocess: Preprocess, picture: Floats, residency: Residency, plugins: PluginFiles, context: RunContext
) -> Generator[Call, Any, Floats]:
    """The control picture that `depth` or `openpose` makes, of the size of `picture`. Use with `yield from`.

    Looking is a device call of stage `preprocess`.

    Args:
        picture: (H, W, 3), RGB in [0, 1].

    Raises:
        EngineError: `model_missing`: which files, and where to put them; `forbidden`: their licence; `bad_model`.

    Warns:
        pose_not_found: nobody is in the picture; it is black.
    """
    if preprocess is Preprocess.DEPTH:
        return (yield from _depth(picture, residency, plugins))
    return (yield from _poses(picture, residency, plugins, context))


def _depth(picture: Floats, residency: Residency, plugins: PluginFiles) -> Generator[Call, Any, Floats]:
    from engine.preprocessing.depth_network import load_depth_network, nearness

    name: str | None = yield Call(lambda: next(filter(plugins.find, _DEPTHS), None), Where.POOL, "read")
    if name is None:
        raise _no_depth()
    network: DepthNetwork = yield from plugins.use(name, residency, load_depth_network)
    seen: Floats = yield from twice(Call(partial(nearness, network, picture), stage="preprocess"))
    return seen


def _poses(
    picture: Floats, residency: Residency, plugins: PluginFiles, context: RunContext
) -> Generator[Call, Any, Floats]:
    from engine.preprocessing.bodies import find_bodies
    from engine.preprocessing.pose_network import load_pose_network, look
    from engine.preprocessing.skeletons import draw_skeletons

    network: PoseNetwork = yield from plugins.use(_POSES, residency, load_pose_network)
    maps: Maps = yield from twice(Call(partial(look, network, picture), stage="preprocess"))
    bodies = yield Call(partial(find_bodies, maps.joints, maps.fields), Where.POOL, "preprocess")
    if not bodies:
        context.warn("pose_not_found", "controls: nobody was found in a picture whose poses are to be followed")
    height, width = picture.shape[:2]
    return draw_skeletons(bodies, width, height)


def _no_depth() -> EngineError:
    model = PLUGIN_MODELS[_DEPTHS[0]]
    folder = model.files[0].partition("/")[0]
    message = (
        f"preprocess depth: none of the models {', '.join(_DEPTHS)} is there: put config.json and model.safetensors "
        f"of {model.repository} into the folder 'plugins/{folder}' of the server's models folder"
    )
    return EngineError(ErrorCode.MODEL_MISSING, message)
