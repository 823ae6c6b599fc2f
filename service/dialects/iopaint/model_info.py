"""The models as IOPaint lists them: those that can be used now, erase models first, then diffusion models."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from protocol.erasing import EraseModel
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName
from service.dialects.iopaint.brushes import brushes_for, powerpaint_for
from service.dialects.iopaint.controls import controls_for
from service.dialects.listed_model import Editor, Listed, ModelType, eraser

ALWAYS_THERE: Final = frozenset({EraseModel.CV2, EraseModel.PATCHMATCH})
"""Erase models without weights."""
PREFERRED: Final = (EraseModel.LAMA, EraseModel.PATCHMATCH)
"""Without a setting, the first of these that is there; the original's default, else what `erase` does by itself."""
_LCM: Final = "lcm"


_TYPES: Final[Mapping[str, ModelType]] = {
    "sd1": ModelType.DIFFUSERS_SD,
    "sd2": ModelType.DIFFUSERS_SD,
    "sd1_inpaint": ModelType.DIFFUSERS_SD_INPAINT,
    "sd2_inpaint": ModelType.DIFFUSERS_SD_INPAINT,
    "sdxl": ModelType.DIFFUSERS_SDXL,
    "sdxl_inpaint": ModelType.DIFFUSERS_SDXL_INPAINT,
}
"""Family of a checkpoint -> type; others are `diffusers_other`."""
_PUBLISHED: Final[Mapping[Editor, str]] = {
    Editor.INSTRUCT_PIX2PIX: "timbrooks/instruct-pix2pix",
    Editor.PAINT_BY_EXAMPLE: "Fantasy-Studio/Paint-by-Example",
    Editor.POWERPAINT: "Sanster/PowerPaint-V1-stable-diffusion-inpainting",
}
"""The original has one model of each; its page shows their fields for a model of that name alone."""
_GOES_WITH: Final[Mapping[str, str]] = {Editor.INSTRUCT_PIX2PIX: "sd1", Editor.POWERPAINT: "sd1"}
"""Family -> family of the LoRAs and ControlNets for it, where that is not its own without `_inpaint`."""
_UNCONTROLLED: Final = frozenset({Editor.INSTRUCT_PIX2PIX, Editor.PAINT_BY_EXAMPLE})
"""Take no ControlNets."""


def listed(models: Sequence[ModelInfo]) -> tuple[Listed, ...]:
    """IOPaint's list, from ours."""
    there = [model for model in models if model.is_present and model.problem is None]
    painting = [model for model in there if _inpaints(model)]
    shown = _published_names(painting)
    return (*_erasers(there), *(_diffusion(model, there, shown.get(model.name, "")) for model in painting))


def by_name(models: Iterable[Listed]) -> Mapping[str, Listed]:
    """Each under the name clients know and, where that is free, under ours."""
    found = {model.name: model for model in models}
    for model in list(found.values()):
        found.setdefault(model.model, model)
    return found


def _erasers(there: Iterable[ModelInfo]) -> list[Listed]:
    names = {model.name for model in there if TaskName.ERASE in model.tasks or model.kind is ModelKind.ERASER}
    return [eraser(model) for model in EraseModel if model in ALWAYS_THERE or model.value in names]


def _inpaints(model: ModelInfo) -> bool:
    return model.kind is ModelKind.CHECKPOINT and TaskName.INPAINT in model.tasks


def _published_names(painting: Iterable[ModelInfo]) -> Mapping[str, str]:
    """Our name -> the original's, for one model of each family that it has one of: the best called, else the first."""
    found: dict[str, str] = {}
    for family, published in _PUBLISHED.items():
        last = published.rpartition("/")[2].lower()
        names = [model.name for model in painting if model.family == family]
        if names:
            found[min(names, key=lambda name: last not in name.lower())] = published
    return found


def _diffusion(model: ModelInfo, there: Sequence[ModelInfo], published: str) -> Listed:
    editor = Editor(model.family) if model.family in set(Editor) else None
    family = _GOES_WITH.get(model.family or "", (model.family or "").removesuffix("_inpaint"))
    fitting = [other for other in there if other.family == family]
    loras = (other.name for other in fitting if other.kind is ModelKind.LORA and _LCM in other.name.lower())
    return Listed(
        published or model.name,
        _TYPES.get(model.family or "", ModelType.DIFFUSERS_OTHER),
        own_name=model.name,
        editor=editor,
        can_extend=TaskName.OUTPAINT in model.tasks,
        lcm_lora=next(loras, None),
        controls={} if editor in _UNCONTROLLED else controls_for(family, there),
        brushes=brushes_for(model.family or "", fitting),
        powerpaint=powerpaint_for(model.family or "", fitting),
    )
