"""IOPaint's plugins, by their names and those of their models, and which of our tasks does their work."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from protocol.editing import BackgroundModel, BackgroundResult, Resampling, UpscaleModel
from protocol.requests import TaskName
from protocol.retouching import FaceModel
from protocol.segmenting import SegmentModel
from service.dialects.iopaint.requests import RunPluginRequest
from service.dialects.refusal import Refused


class Work(NamedTuple):
    """One of our tasks with its parameters, but for the picture."""

    task: TaskName
    params: Mapping[str, Any]


class Served(NamedTuple):
    """How a model of a plugin is served.

    Attributes:
        params: of our task, that choose it.
        needs: name of the model whose weights have to be here; None: it comes with the server.
        is_fetched: those weights are fetched by the first request that needs them, where the server downloads models.
        instead: parameters that do as well as they can while those weights are not here; None: nothing does.
    """

    params: Mapping[str, Any]
    needs: str | None = None
    instead: Mapping[str, Any] | None = None
    is_fetched: bool = False

    def is_here(self, present: Collection[str], *, may_fetch: bool = False) -> bool:
        is_there = self.needs is None or self.needs in present or self.instead is not None
        return is_there or (self.is_fetched and may_fetch)

    def chosen(self, present: Collection[str]) -> Mapping[str, Any]:
        """Parameters for what is here."""
        is_missing = self.needs is not None and self.needs not in present
        return self.instead if is_missing and self.instead is not None else self.params


Make: TypeAlias = Callable[[RunPluginRequest], Work]
"""What a request to a plugin comes to, but for its model."""

RESTORING: Final = ("GFPGAN", "RestoreFormer")
_BACKGROUND_BY: Final = "RealESRGAN"
_SHORTEST_CLICK: Final = 3
_PNG: Final[Mapping[str, Any]] = {"format": "png", "keep_metadata": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin.

    Attributes:
        listed: every model the original lists for it.
        served: of those, what can be used here if its weights are there; the first that is, until somebody switches.
        image: how it makes a picture; None if it makes none.
        mask: how it makes a mask; None if it makes none.
        model_key, models_key: under which `server-config` tells its model and its models; None: not at all.
    """

    name: str
    listed: Sequence[str] = ()
    served: Mapping[str, Served] = field(default_factory=dict)
    image: Make | None = None
    mask: Make | None = None
    model_key: str | None = None
    models_key: str | None = None

    def shown(self) -> dict[str, Any]:
        """As `server-config` lists it."""
        return {
            "name": self.name,
            "support_gen_image": self.image is not None,
            "support_gen_mask": self.mask is not None,
        }

    def usable(self, present: Collection[str], *, may_fetch: bool = False) -> list[str]:
        """Its models that can be used now.

        Args:
            present: names of the models whose weights are on this server.
            may_fetch: the server downloads models that requests need.
        """
        return [name for name, served in self.served.items() if served.is_here(present, may_fetch=may_fetch)]


def _segment(request: RunPluginRequest) -> Work:
    if not request.clicks:
        raise Refused(422, "clicks: expected at least one click: [x, y, 1]")
    if any(len(click) < _SHORTEST_CLICK for click in request.clicks):
        raise Refused(422, "clicks: expected x, y and 1 (this belongs to it) or 0 (this does not)")
    points = [{"x": float(click[0]), "y": float(click[1]), "include": click[2] == 1} for click in request.clicks]
    return Work(TaskName.SEGMENT, {"points": points})


def _cut_out(_request: RunPluginRequest) -> Work:
    return Work(TaskName.REMOVE_BACKGROUND, {**_PNG, "result": BackgroundResult.CUTOUT.value})


def _subject(_request: RunPluginRequest) -> Work:
    return Work(TaskName.REMOVE_BACKGROUND, {"result": BackgroundResult.MASK.value})


def _upscale(request: RunPluginRequest) -> Work:
    return Work(TaskName.UPSCALE, {**_PNG, "factor": request.scale, "resampling": Resampling.LANCZOS.value})


def _restore(_request: RunPluginRequest) -> Work:
    return Work(TaskName.RESTORE_FACE, _PNG)


def _named(**params: str) -> Mapping[str, Any]:
    return params


def _background(model: BackgroundModel) -> Served:
    return Served(_named(model=model.value), needs=model.value)


def _segmenter(model: SegmentModel) -> Served:
    return Served(_named(model=model.value), needs=model.value, is_fetched=True)


_SEGMENTERS: Final[Mapping[str, Served]] = {
    "vit_b": _segmenter(SegmentModel.SAM_VIT_B),
    "vit_l": _segmenter(SegmentModel.SAM_VIT_L),
    "vit_h": _segmenter(SegmentModel.SAM_VIT_H),
    "sam_hq_vit_b": _segmenter(SegmentModel.SAM_HQ_VIT_B),
    "sam_hq_vit_l": _segmenter(SegmentModel.SAM_HQ_VIT_L),
    "sam_hq_vit_h": _segmenter(SegmentModel.SAM_HQ_VIT_H),
    "mobile_sam": Served(_named(model=SegmentModel.MOBILE_SAM.value)),
    "sam2_tiny": _segmenter(SegmentModel.SAM2_TINY),
    "sam2_small": _segmenter(SegmentModel.SAM2_SMALL),
    "sam2_base": _segmenter(SegmentModel.SAM2_BASE),
    "sam2_large": _segmenter(SegmentModel.SAM2_LARGE),
    "sam2_1_tiny": _segmenter(SegmentModel.SAM2_1_TINY),
    "sam2_1_small": _segmenter(SegmentModel.SAM2_1_SMALL),
    "sam2_1_base": _segmenter(SegmentModel.SAM2_1_BASE),
    "sam2_1_large": _segmenter(SegmentModel.SAM2_1_LARGE),
}
"""In the order the original lists them."""
_BACKGROUNDS: Final[Mapping[str, Served]] = {
    "briaai/RMBG-1.4": _background(BackgroundModel.RMBG_1_4),
    "briaai/RMBG-2.0": _background(BackgroundModel.RMBG_2_0),
    "u2net": _background(BackgroundModel.U2NET)._replace(instead=_named(model=BackgroundModel.AUTO.value)),
    "u2netp": _background(BackgroundModel.U2NETP),
    "u2net_human_seg": _background(BackgroundModel.U2NET_HUMAN_SEG),
    "u2net_cloth_seg": _background(BackgroundModel.U2NET_CLOTH_SEG),
    "silueta": _background(BackgroundModel.SILUETA),
    "isnet-general-use": _background(BackgroundModel.ISNET_GENERAL_USE),
    "birefnet-general": _background(BackgroundModel.BIREFNET_GENERAL),
    "birefnet-general-lite": _background(BackgroundModel.BIREFNET_GENERAL_LITE),
    "birefnet-portrait": _background(BackgroundModel.BIREFNET_PORTRAIT),
    "birefnet-dis": _background(BackgroundModel.BIREFNET_DIS),
    "birefnet-hrsod": _background(BackgroundModel.BIREFNET_HRSOD),
    "birefnet-cod": _background(BackgroundModel.BIREFNET_COD),
    "birefnet-massive": _background(BackgroundModel.BIREFNET_MASSIVE),
}
"""In the order the original lists them; the weights of each but `u2net` have to be here."""

PLUGINS: Final[Mapping[str, Plugin]] = {
    plugin.name: plugin
    for plugin in (
        Plugin(
            name="InteractiveSeg",
            listed=tuple(_SEGMENTERS),
            served=_SEGMENTERS,
            mask=_segment,
            model_key="interactiveSegModel",
            models_key="interactiveSegModels",
        ),
        Plugin(
            name="RemoveBG",
            listed=tuple(_BACKGROUNDS),
            served=_BACKGROUNDS,
            image=_cut_out,
            mask=_subject,
            model_key="removeBGModel",
            models_key="removeBGModels",
        ),
        Plugin(
            name="AnimeSeg",
            served={"isnetis": Served(_named(model=BackgroundModel.ISNET_ANIME.value), needs="isnetis")},
            image=_cut_out,
            mask=_subject,
        ),
        Plugin(
            name="RealESRGAN",
            listed=("realesr-general-x4v3", "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B"),
            served={
                "realesr-general-x4v3": Served(
                    _named(model=UpscaleModel.GENERAL.value),
                    needs="realesr-general-x4v3",
                    instead=_named(model=UpscaleModel.COMPACT.value),
                ),
                "RealESRGAN_x4plus": Served(_named(model=UpscaleModel.X4PLUS.value)),
                "RealESRGAN_x4plus_anime_6B": Served(_named(model=UpscaleModel.X4PLUS_ANIME.value)),
            },
            image=_upscale,
            model_key="realesrganModel",
            models_key="realesrganModels",
        ),
        Plugin(
            name="GFPGAN",
            listed=("GFPGANv1.4",),
            served={"GFPGANv1.4": Served(_named(model=FaceModel.GFPGAN.value), needs="GFPGANv1.4")},
            image=_restore,
        ),
        Plugin(
            name="RestoreFormer",
            listed=("RestoreFormer",),
            served={"RestoreFormer": Served(_named(model=FaceModel.RESTOREFORMER.value), needs="RestoreFormer")},
            image=_restore,
        ),
    )
}
"""In the order the page shows them."""


def enabled(names: Collection[str]) -> list[Plugin]:
    """Those of `names`, in our order; names nobody knows are passed over."""
    return [plugin for name, plugin in PLUGINS.items() if name in names]


def plugin_named(name: str, names: Collection[str]) -> Plugin:
    """An enabled plugin.

    Raises:
        Refused: 422: it is unknown, or not enabled.
    """
    if name not in names or name not in PLUGINS:
        raise Refused(422, "Plugin not found")
    return PLUGINS[name]


def extras(plugin: Plugin, names: Collection[str]) -> Mapping[str, Any]:
    """What the other plugins that are enabled add: faces are restored on a background that is cleaned."""
    return {"enhance_background": True} if plugin.name in RESTORING and _BACKGROUND_BY in names else {}
