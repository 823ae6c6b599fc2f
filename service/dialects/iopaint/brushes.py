"""BrushNets by IOPaint's names: which of those here can be used with a model, PowerPaint's second version among them.

The original takes BrushNets for models that were not trained for inpainting, and one at a time. That of PowerPaint is
asked for by a field of its own, and is told from the others by its name.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from protocol.models import ModelInfo, ModelKind
from service.dialects.iopaint.requests import InpaintRequest
from service.dialects.refusal import Refused

_PUBLISHED: Final = (
    "Sanster/brushnet_random_mask",
    "Sanster/brushnet_segmentation_mask",
    "Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1",
)
"""Those the original lists, in its order."""
_LISTED: Final[Mapping[str, str]] = {name.rpartition("/")[2]: name for name in _PUBLISHED}
_FAMILIES: Final = frozenset({"sd1", "sd2", "sdxl"})
_POWERPAINT: Final = "powerpaint"
_SHOWN: Final = 10


def brushes_for(family: str, there: Iterable[ModelInfo]) -> Mapping[str, str]:
    """Name for clients -> our name, of the BrushNets that can be used with a model; the original's come first.

    A name for clients is the original's for the same BrushNet, else ours.

    Args:
        family: of the model, with `_inpaint` where that is so.
        there: all models that can be used.
    """
    found: dict[str, str] = {}
    for name in _names(family, there):
        if not _is_powerpaint(name):
            found.setdefault(_LISTED.get(_last_part(name), name), name)
    order = [*_PUBLISHED, *found]
    return {shown: found[shown] for shown in sorted(found, key=order.index)}


def powerpaint_for(family: str, there: Iterable[ModelInfo]) -> str | None:
    """Our name of the BrushNet of PowerPaint that can be used with a model; arguments as for `brushes_for`."""
    return next((name for name in _names(family, there) if _is_powerpaint(name)), None)


def brushed(request: InpaintRequest, brushes: Mapping[str, str], powerpaint: str | None, model: str) -> dict[str, Any]:
    """What our tasks are given for the BrushNet a request asks for; nothing if it asks for none.

    Args:
        brushes, powerpaint: as the functions above give them.
        model: for messages.

    Raises:
        Refused: 422: it is not here, or not for this model.
    """
    if request.enable_brushnet:
        name = _chosen(request, brushes, model)
        return {"brushnet": {"model": name, "scale": request.brushnet_conditioning_scale}}
    if not request.enable_powerpaint_v2:
        return {}
    if powerpaint is None:
        raise Refused(422, f"enable_powerpaint_v2: this server has no BrushNet of PowerPaint for {model!r}")
    return {"brushnet": {"model": powerpaint}}


def _chosen(request: InpaintRequest, brushes: Mapping[str, str], model: str) -> str:
    asked = request.brushnet_method
    meant = _last_part(asked)
    for shown, name in brushes.items():
        if asked in (shown, name) or meant in (_last_part(shown), _last_part(name)):
            return name
    is_open = not asked or "brushnet_method" not in request.model_fields_set
    if is_open and brushes:
        return next(iter(brushes.values()))
    there = ", ".join(list(brushes)[:_SHOWN]) or "none that can be used"
    raise Refused(422, f"brushnet_method: expected a BrushNet for {model!r} ({there}), got {asked!r:.120}")


def _names(family: str, there: Iterable[ModelInfo]) -> list[str]:
    if family not in _FAMILIES:
        return []
    return [model.name for model in there if model.kind is ModelKind.BRUSHNET and model.family == family]


def _is_powerpaint(name: str) -> bool:
    return _POWERPAINT in name.lower()


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]
