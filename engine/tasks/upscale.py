"""Enlarge a picture with Real-ESRGAN, tile by tile."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from numpy.typing import NDArray

from engine.images import Picture, decode, encode_for, to_tensor
from engine.interface import Call, EncodedImage, OutOfMemory, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.safety.censoring import look_at
from engine.safety.checkers import bring_checker
from engine.signing import SOFTWARE, sign
from engine.upscaling.enlargement import Enlargement
from engine.upscaling.tiling import Span, cut, widen
from protocol.editing import Resampling, UpscaleModel, UpscaleParams
from protocol.finishing import MetadataScheme
from protocol.generation import ImageToImageParams
from protocol.params import MAX_SIDE_PX
from protocol.recipes.recipe import Recipe
from protocol.requests import Previews

if TYPE_CHECKING:
    from pathlib import Path

    from engine.upscaling.network import UpscaleNet

logger = structlog.get_logger(__name__)

SMALLEST_TILE_PX: Final = 32
_PACKAGED: Final = {
    UpscaleModel.COMPACT: "compact",
    UpscaleModel.X4PLUS: "realesrgan-x4plus",
    UpscaleModel.X4PLUS_ANIME: "realesrgan-x4plus-anime",
}
_PUBLISHED: Final = {
    UpscaleModel.GENERAL: "realesr-general-x4v3",
    UpscaleModel.X4PLUS: "RealESRGAN_x4plus",
    UpscaleModel.X4PLUS_ANIME: "RealESRGAN_x4plus_anime_6B",
}
"""Used where their files are there, in single precision; the packaged ones have the same weights in half."""
_CPU_TILES_PX: Final = {
    UpscaleModel.COMPACT: 192,
    UpscaleModel.GENERAL: 128,
    UpscaleModel.X4PLUS: 96,
    UpscaleModel.X4PLUS_ANIME: 128,
}
"""About a second a tile on two CPU cores: what a click has to wait for at most."""
_CUDA_TILE_PX: Final = 384


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, once everything left open is decided.

    Attributes:
        factor: output size over input size, small enough for the largest side allowed.
        tile_px: side of a tile without its margin, in input pixels.
    """

    model: UpscaleModel
    factor: float
    tile_px: int
    resampling: Resampling


def upscale(run: Run, context: RunContext, residency: Residency, plugins: PluginFiles | None = None) -> Steps:
    """Read, enlarge four times tile by tile, bring to the size asked for, have it looked at, sign, keep.

    Each tile is one device call of stage `tile` and one step. A tile that does not fit in memory is cut in four, and
    so are those after it, so the number of steps may rise. A picture that is to be looked at has no previews.

    Raises:
        EngineError: `model_missing`, before the first tile: nothing can look at the picture.

    Warns:
        upscale_capped: the result would have been larger than any picture may be.
        censored: the picture was not safe, and became black.
        metadata_unused: the file has no place for what the picture was made with.
    """
    assert isinstance(run.params, UpscaleParams)
    params = run.params
    read = partial(decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    picture: Picture = yield Call(read, Where.POOL, "read")
    plan = _plan(params, picture, residency.device, context)
    plugins = plugins or PluginFiles(models_dir=residency.models_dir)
    checker = (yield from bring_checker(plugins, residency)) if params.safety_check else None
    network = yield from _use(plan.model, residency, plugins)
    # Before a picture was looked at nobody is to see it.
    shows = run.previews is not Previews.NONE and checker is None
    enlargement = yield from _enlarge(picture, network, plan, context, shows=shows)
    finished = partial(enlargement.finished, picture, plan.factor, plan.resampling)
    data: dict[str, Any] = {"model": plan.model.value, "factor": round(plan.factor, 4)}
    if checker is not None:
        result: Picture = yield Call(finished, Where.POOL, "finish")
        seen = yield from look_at(result, 0, checker, context.warn)
        finished, data["is_censored"] = partial(_as_it_is, seen.picture), seen.is_censored

    def encode() -> EncodedImage:
        return encode_for(sign_enlarged(finished(), plan.model, plan.factor, params, context.warn), params)

    yield from context.output(0, encode, data=data)


def sign_enlarged(
    picture: Picture,
    model: UpscaleModel,
    factor: float,
    params: UpscaleParams | ImageToImageParams,
    warn: Callable[[str, str], None],
) -> Picture:
    """A picture that was enlarged and not made anew, whose file says so if the request asks for it. On the side pool.

    Args:
        model: that enlarged it, not `auto`.
        warn: told of `metadata_unused`.
    """
    if params.metadata is MetadataScheme.NONE:
        return picture
    recipe = Recipe(
        width=picture.width,
        height=picture.height,
        upscaler=model.value,
        upscale_factor=round(factor, 4),
        made_by=SOFTWARE,
    )
    return sign(picture, recipe, params.metadata, params.format, warn)


def chosen_model(model: UpscaleModel, device: str) -> UpscaleModel:
    """The weights that `auto` stands for on a device; the others stand for themselves."""
    if model is not UpscaleModel.AUTO:
        return model
    return UpscaleModel.X4PLUS if device.startswith("cuda") else UpscaleModel.COMPACT


def largest_factor(picture: Picture) -> float:
    """So many times can a picture be enlarged at most."""
    return MAX_SIDE_PX / max(picture.width, picture.height)


def enlarge(
    picture: Picture,
    factor: float,
    model: UpscaleModel,
    residency: Residency,
    plugins: PluginFiles | None,
    context: RunContext,
    *,
    until: float,
    shows: bool = False,
) -> Generator[Call, Any, Picture]:
    """The picture enlarged, as a part of another task. Use with `yield from`.

    Calls, steps and warnings are those of `upscale`; from four times the size it is made smaller by Lanczos.

    Args:
        factor: 1 gives the picture as it looks when it is enlarged and made smaller again.
        until: how much of the whole job is done then.
        shows: make previews.
    """
    params = UpscaleParams(image="-", factor=factor, model=model, resampling=Resampling.LANCZOS)
    plan = _plan(params, picture, residency.device, context)
    network = yield from _use(plan.model, residency, plugins or PluginFiles(models_dir=residency.models_dir))
    enlargement = yield from _enlarge(picture, network, plan, context, shows=shows, until=until)
    finished: Picture = yield Call(
        lambda: enlargement.finished(picture, plan.factor, plan.resampling), Where.POOL, "resize"
    )
    return finished


def _as_it_is(picture: Picture) -> Picture:
    return picture


def _load(path: "Path", device: str) -> "UpscaleNet":
    from engine.upscaling.network import load_network

    return load_network(path, device)


def _plan(params: UpscaleParams, picture: Picture, device: str, context: RunContext) -> Plan:
    model, largest = chosen_model(params.model, device), largest_factor(picture)
    if params.factor > largest:
        message = f"factor {params.factor:g} would exceed {MAX_SIDE_PX} px a side; {largest:.3g} was used"
        context.warn("upscale_capped", message)
    tile_px = params.tile_px or (_CUDA_TILE_PX if device.startswith("cuda") else _CPU_TILES_PX[model])
    return Plan(model, min(params.factor, largest), tile_px, params.resampling)


def _use(model: UpscaleModel, residency: Residency, plugins: PluginFiles) -> "Generator[Call, Any, UpscaleNet]":
    published = _PUBLISHED.get(model)
    if published is not None and (model not in _PACKAGED or plugins.find(published) is not None):
        return (yield from plugins.use(published, residency, _load))
    return (yield from residency.use(_PACKAGED[model], _load))


def _enlarge(
    picture: Picture, network: "UpscaleNet", plan: Plan, context: RunContext, *, shows: bool, until: float = 1.0
) -> "Generator[Call, Any, Enlargement]":
    enlargement = Enlargement(picture, network.scale, shows)
    whole = Span(0, 0, picture.height, picture.width)
    tile_px = plan.tile_px
    waiting = deque(cut(whole, tile_px))
    finished, finished_area = 0, 0
    while waiting:
        tile = waiting[0]
        try:
            pixels = yield Call(partial(_run_tile, network, picture, tile, whole), stage="tile")
        except OutOfMemory:
            if max(tile.height, tile.width) <= SMALLEST_TILE_PX:
                raise
            tile_px = max(SMALLEST_TILE_PX, min(tile_px, max(tile.height, tile.width)) // 2)
            waiting = deque(part for span in waiting for part in cut(span, tile_px))
            continue
        waiting.popleft()
        enlargement.paste(tile, widen(tile, network.fade_px, whole), pixels)
        finished, finished_area = finished + 1, finished_area + tile.area
        context.step(finished, finished + len(waiting), progress=until * finished_area / whole.area, stage="tile")
        if shows and context.wants_previews:
            context.preview(finished, enlargement.preview())
    return enlargement


def _run_tile(network: "UpscaleNet", picture: Picture, tile: Span, whole: Span) -> NDArray[Any]:
    """The enlarged tile with the rim that is faded into its neighbours: (h * scale, w * scale, 3) in [0, 1].

    A network in half precision whose numbers run over goes on in single precision, with this tile and all later ones.
    """
    import torch

    from engine.images import from_tensor

    kept, shown = widen(tile, network.fade_px, whole), widen(tile, network.reach_px, whole)
    top, left = (kept.top - shown.top) * network.scale, (kept.left - shown.left) * network.scale
    rows = slice(top, top + kept.height * network.scale)
    columns = slice(left, left + kept.width * network.scale)
    parameter = next(network.parameters())
    pixels = to_tensor(picture.rgb[shown.top : shown.bottom, shown.left : shown.right], parameter.device)
    with torch.inference_mode():
        inner = network(pixels.to(parameter.dtype, memory_format=torch.channels_last))[:, :, rows, columns]
        if parameter.dtype is torch.float16 and not inner.isfinite().all():
            # Some GPUs calculate wrongly in half precision; what came would be a black picture.
            logger.warning("upscale.half_precision_failed", device=str(parameter.device))
            network.float()
            inner = network(pixels.to(memory_format=torch.channels_last))[:, :, rows, columns]
        return from_tensor(inner)
