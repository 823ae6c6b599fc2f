"""ControlNets by IOPaint's names: which of those here can be used with a model, and how their pictures are made.

The original tells by the name what a ControlNet wants to see. Edges and holes can always be made here, poses and depth
where the network for them is.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from protocol.guides import Preprocess
from protocol.models import ModelInfo, ModelKind
from service.dialects.refusal import Refused

_WAYS: Final[Mapping[str, Preprocess]] = {
    "canny": Preprocess.CANNY,
    "openpose": Preprocess.OPENPOSE,
    "depth": Preprocess.DEPTH,
    "inpaint": Preprocess.INPAINT,
}
"""Kind -> how its pictures are made. Looked for in a name in this order."""
_NETWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "openpose": ("body_pose_model",),
    "depth": ("dpt-hybrid-midas", "dpt-large"),
}
"""Kinds whose pictures take a network: one of these models."""
_HALF: Final = "_fp16"
"""At the end of the name of a file whose weights are in half precision."""
_PUBLISHED: Final = (
    "lllyasviel/control_v11p_sd15_canny",
    "lllyasviel/control_v11p_sd15_inpaint",
    "lllyasviel/control_v11p_sd15_openpose",
    "lllyasviel/control_v11f1p_sd15_depth",
    "thibaud/controlnet-sd21-canny-diffusers",
    "destitech/controlnet-inpaint-dreamer-sdxl",
    "diffusers/controlnet-canny-sdxl-1.0",
    "diffusers/controlnet-canny-sdxl-1.0-mid",
    "diffusers/controlnet-canny-sdxl-1.0-small",
)
"""Some that the original lists; others are shown by the names they have here."""
_LISTED: Final[Mapping[str, str]] = {name.rpartition("/")[2]: name for name in _PUBLISHED}
_SHOWN: Final = 10


def controls_for(family: str, there: Iterable[ModelInfo]) -> Mapping[str, str]:
    """Name for clients -> our name, of the ControlNets that can be used with a model.

    A name for clients is the original's for the same ControlNet, else ours.

    Args:
        family: of the model, without `_inpaint`.
        there: all models that can be used.
    """
    there = list(there)
    names = [model.name for model in there if model.kind is ModelKind.CONTROLNET and model.family == family]
    networks = {model.name for model in there if model.kind is None}
    found: dict[str, str] = {}
    for name in names:
        kind = _kind_of(name)
        if kind is not None and (kind not in _NETWORKS or not networks.isdisjoint(_NETWORKS[kind])):
            found.setdefault(_LISTED.get(_last_part(name).removesuffix(_HALF), name), name)
    return found


def chosen_control(asked: str, controls: Mapping[str, str], model: str) -> tuple[str, Preprocess]:
    """Our name of the ControlNet a request means, and how its picture is made.

    Args:
        asked: one of `controls`, or only its part after the last `/`; in either namespace.
        controls: as `controls_for` gives them.
        model: for messages.

    Raises:
        Refused: 422: it is not here, not for this model, or the network that makes its picture is not.
    """
    meant = _last_part(asked)
    for shown, name in controls.items():
        if asked in (shown, name) or meant in (_last_part(shown), _last_part(name)):
            return name, _WAYS[_kind_of(name) or ""]
    there = ", ".join(list(controls)[:_SHOWN]) or "none that can be used"
    needed = " or ".join(_NETWORKS.get(_kind_of(asked) or "", ()))
    network = f"; pictures for such a one take {needed} on the server" if needed else ""
    raise Refused(422, f"controlnet_method: expected a ControlNet for {model!r} ({there}), got {asked!r:.120}{network}")


def _kind_of(name: str) -> str | None:
    lower = name.lower()
    return next((kind for kind in _WAYS if kind in lower), None)


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]
