"""IOPaint's plugins, by their names and those of their models, and which of our tasks does their work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from protocol.editing import BackgroundResult, UpscaleModel
from protocol.requests import TaskName
from service.dialects.iopaint.errors import Refused
from service.dialects.iopaint.requests import RunPluginRequest


class Work(NamedTuple):
    """One of our tasks with its parameters, but for the picture."""

    task: TaskName
    params: Mapping[str, Any]


Make: TypeAlias = Callable[[RunPluginRequest, str], Work]
"""What a request to a plugin comes to, with the plugin's model."""

_SHORTEST_CLICK: Final = 3
_PNG: Final[Mapping[str, Any]] = {"format": "png", "keep_metadata": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin.

    Attributes:
        models: every name the original lists.
        served: of those, what can be used here.
        image: how it makes a picture; None if it makes none.
        mask: how it makes a mask; None if it makes none.
        model_key, models_key: under which `server-config` tells its model and its models; None: not at all.
    """

    name: str
    models: Sequence[str] = ()
    served: Sequence[str] = ()
    image: Make | None = None
    mask: Make | None = None
    model_key: str | None = None
    models_key: str | None = None

    @property
    def first_model(self) -> str:
        """What it uses until somebody switches."""
        return self.served[0] if self.served else ""

    def shown(self) -> dict[str, Any]:
        """As `server-config` lists it."""
        return {
            "name": self.name,
            "support_gen_image": self.image is not None,
            "support_gen_mask": self.mask is not None,
        }


_UPSCALERS: Final = {
    "realesr-general-x4v3": UpscaleModel.COMPACT,
    "RealESRGAN_x4plus": UpscaleModel.X4PLUS,
    "RealESRGAN_x4plus_anime_6B": UpscaleModel.X4PLUS_ANIME,
}


def _segment(request: RunPluginRequest, _model: str) -> Work:
    if not request.clicks:
        raise Refused(422, "clicks: expected at least one click: [x, y, 1]")
    if any(len(click) < _SHORTEST_CLICK for click in request.clicks):
        raise Refused(422, "clicks: expected x, y and 1 (this belongs to it) or 0 (this does not)")
    points = [{"x": float(click[0]), "y": float(click[1]), "include": click[2] == 1} for click in request.clicks]
    return Work(TaskName.SEGMENT, {"points": points})


def _cut_out(_request: RunPluginRequest, _model: str) -> Work:
    return Work(TaskName.REMOVE_BACKGROUND, {**_PNG, "result": BackgroundResult.CUTOUT.value})


def _subject(_request: RunPluginRequest, _model: str) -> Work:
    return Work(TaskName.REMOVE_BACKGROUND, {"result": BackgroundResult.MASK.value})


def _upscale(request: RunPluginRequest, model: str) -> Work:
    return Work(TaskName.UPSCALE, {**_PNG, "factor": request.scale, "model": _UPSCALERS[model].value})


PLUGINS: Final[Mapping[str, Plugin]] = {
    plugin.name: plugin
    for plugin in (
        Plugin(
            name="InteractiveSeg",
            models=(
                "vit_b",
                "vit_l",
                "vit_h",
                "sam_hq_vit_b",
                "sam_hq_vit_l",
                "sam_hq_vit_h",
                "mobile_sam",
                "sam2_tiny",
                "sam2_small",
                "sam2_base",
                "sam2_large",
                "sam2_1_tiny",
                "sam2_1_small",
                "sam2_1_base",
                "sam2_1_large",
            ),
            served=("mobile_sam",),
            mask=_segment,
            model_key="interactiveSegModel",
            models_key="interactiveSegModels",
        ),
        Plugin(
            name="RemoveBG",
            models=(
                "briaai/RMBG-1.4",
                "briaai/RMBG-2.0",
                "u2net",
                "u2netp",
                "u2net_human_seg",
                "u2net_cloth_seg",
                "silueta",
                "isnet-general-use",
                "birefnet-general",
                "birefnet-general-lite",
                "birefnet-portrait",
                "birefnet-dis",
                "birefnet-hrsod",
                "birefnet-cod",
                "birefnet-massive",
            ),
            served=("u2net",),
            image=_cut_out,
            mask=_subject,
            model_key="removeBGModel",
            models_key="removeBGModels",
        ),
        Plugin(
            name="RealESRGAN",
            models=tuple(_UPSCALERS),
            served=tuple(_UPSCALERS),
            image=_upscale,
            model_key="realesrganModel",
            models_key="realesrganModels",
        ),
    )
}
"""In the order the page shows them."""


def enabled(names: Sequence[str]) -> list[Plugin]:
    """Those of `names`, in our order; names nobody knows are passed over."""
    return [plugin for name, plugin in PLUGINS.items() if name in names]


def plugin_named(name: str, names: Sequence[str]) -> Plugin:
    """An enabled plugin.

    Raises:
        Refused: 422: it is unknown, or not enabled.
    """
    if name not in names or name not in PLUGINS:
        raise Refused(422, "Plugin not found")
    return PLUGINS[name]
