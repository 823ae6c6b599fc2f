"""ControlNets by IOPaint's names: which of those here can be used with a model, and how their pictures are made.

The original tells by the name what a ControlNet wants to see. Edges and holes are made here; poses and depth, which
take networks of their own, are not.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from protocol.guides import Preprocess
from protocol.models import ModelInfo, ModelKind
from service.dialects.iopaint.errors import Refused

_KINDS: Final = ("canny", "openpose", "depth", "inpaint")
"""Looked for in a name in this order."""
_MADE_HERE: Final[Mapping[str, Preprocess]] = {"canny": Preprocess.CANNY, "inpaint": Preprocess.INPAINT}
_HALF: Final = "_fp16"
"""At the end of the name of a file whose weights are in half precision."""
_PUBLISHED: Final = (
    "lllyasviel/control_v11p_sd15_canny",
    "lllyasviel/control_v11p_sd15_inpaint",
    "thibaud/controlnet-sd21-canny-diffusers",
    "destitech/controlnet-inpaint-dreamer-sdxl",
    "diffusers/controlnet-canny-sdxl-1.0",
    "diffusers/controlnet-canny-sdxl-1.0-mid",
    "diffusers/controlnet-canny-sdxl-1.0-small",
)
"""Those the original lists whose pictures are made here."""
_LISTED: Final[Mapping[str, str]] = {name.rpartition("/")[2]: name for name in _PUBLISHED}
_SHOWN: Final = 10


def controls_for(family: str, there: Iterable[ModelInfo]) -> Mapping[str, str]:
    """Name for clients -> our name, of the ControlNets that can be used with a model.

    A name for clients is the original's for the same ControlNet, else ours.

    Args:
        family: of the model, without `_inpaint`.
        there: all models that can be used.
    """
    names = [model.name for model in there if model.kind is ModelKind.CONTROLNET and model.family == family]
    found: dict[str, str] = {}
    for name in names:
        if _kind_of(name) in _MADE_HERE:
            found.setdefault(_LISTED.get(_last_part(name).removesuffix(_HALF), name), name)
    return found


def chosen_control(asked: str, controls: Mapping[str, str], model: str) -> tuple[str, Preprocess]:
    """Our name of the ControlNet a request means, and how its picture is made.

    Args:
        asked: one of `controls`, or only its part after the last `/`; in either namespace.
        controls: as `controls_for` gives them.
        model: for messages.

    Raises:
        Refused: 422: it is not here, not for this model, or its picture cannot be made.
    """
    kind = _kind_of(asked)
    if kind is not None and kind not in _MADE_HERE:
        reason = f"pictures of the kind {kind} are not made here; /v1/jobs takes them ready made, as controls"
        raise Refused(422, f"controlnet_method: {reason}")
    meant = _last_part(asked)
    for shown, name in controls.items():
        if asked in (shown, name) or meant in (_last_part(shown), _last_part(name)):
            return name, _MADE_HERE[_kind_of(name) or ""]
    there = ", ".join(list(controls)[:_SHOWN]) or "none that can be used"
    raise Refused(422, f"controlnet_method: expected a ControlNet for {model!r} ({there}), got {asked!r:.120}")


def _kind_of(name: str) -> str | None:
    lower = name.lower()
    return next((kind for kind in _KINDS if kind in lower), None)


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]
