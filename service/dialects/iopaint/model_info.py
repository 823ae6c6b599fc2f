"""The models as IOPaint lists them: those that can be used now, erase models first, then diffusion models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from protocol.erasing import EraseModel
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName
from service.dialects.iopaint.brushes import brushes_for, powerpaint_for
from service.dialects.iopaint.controls import controls_for

ALWAYS_THERE: Final = frozenset({EraseModel.CV2, EraseModel.PATCHMATCH})
"""Erase models without weights."""
PREFERRED: Final = (EraseModel.LAMA, EraseModel.PATCHMATCH)
"""Without a setting, the first of these that is there; the original's default, else what `erase` does by itself."""
_LCM: Final = "lcm"


class ModelType(StrEnum):
    """What kind of model the original's page is told it has."""

    INPAINT = "inpaint"
    DIFFUSERS_SD = "diffusers_sd"
    DIFFUSERS_SD_INPAINT = "diffusers_sd_inpaint"
    DIFFUSERS_SDXL = "diffusers_sdxl"
    DIFFUSERS_SDXL_INPAINT = "diffusers_sdxl_inpaint"
    DIFFUSERS_OTHER = "diffusers_other"


_TYPES: Final[Mapping[str, ModelType]] = {
    "sd1": ModelType.DIFFUSERS_SD,
    "sd2": ModelType.DIFFUSERS_SD,
    "sd1_inpaint": ModelType.DIFFUSERS_SD_INPAINT,
    "sd2_inpaint": ModelType.DIFFUSERS_SD_INPAINT,
    "sdxl": ModelType.DIFFUSERS_SDXL,
    "sdxl_inpaint": ModelType.DIFFUSERS_SDXL_INPAINT,
}
"""Family of a checkpoint -> type; others are `diffusers_other`."""


class Editor(StrEnum):
    """Families with fields of their own in the original's requests."""

    INSTRUCT_PIX2PIX = "instruct_pix2pix"
    PAINT_BY_EXAMPLE = "paint_by_example"
    POWERPAINT = "powerpaint"


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
_STARTS_FROM_NOISE: Final = frozenset({Editor.INSTRUCT_PIX2PIX, Editor.PAINT_BY_EXAMPLE})


@dataclass(frozen=True, slots=True)
class Listed:
    """One model on IOPaint's list.

    Attributes:
        name: by which clients switch to it.
        own_name: ours for it, where that is another.
        eraser: which erase model it is; None for a diffusion model.
        editor: which of the models with fields of their own it is, if any.
        can_extend: it paints beyond the picture.
        lcm_lora: the LoRA that `sd_lcm_lora` means for it; None if the server has none.
        controls: the ControlNets that can be used with it; see `controls_for`.
        brushes: the BrushNets, PowerPaint's apart; see `brushes_for`.
        powerpaint: our name of that.
    """

    name: str
    type: ModelType
    own_name: str = ""
    eraser: EraseModel | None = None
    editor: Editor | None = None
    can_extend: bool = True
    lcm_lora: str | None = None
    controls: Mapping[str, str] = field(default_factory=dict)
    brushes: Mapping[str, str] = field(default_factory=dict)
    powerpaint: str | None = None

    @property
    def is_diffusion(self) -> bool:
        return self.eraser is None

    @property
    def model(self) -> str:
        """What our tasks call it."""
        return self.own_name or self.name

    @property
    def has_strength(self) -> bool:
        """Whether it can start from what is there."""
        return self.is_diffusion and self.editor not in _STARTS_FROM_NOISE

    def shown(self) -> dict[str, Any]:
        """As the original writes it. What is claimed is what the server can do, whatever the type can elsewhere."""
        return {
            "name": self.name,
            "path": self.name,
            "model_type": self.type.value,
            "is_single_file_diffusers": False,
            "need_prompt": self.is_diffusion and self.editor is not Editor.PAINT_BY_EXAMPLE,
            "controlnets": list(self.controls),
            "brushnets": list(self.brushes),
            "support_strength": self.has_strength,
            "support_outpainting": self.is_diffusion and self.can_extend,
            "support_lcm_lora": self.lcm_lora is not None,
            "support_controlnet": bool(self.controls),
            "support_brushnet": bool(self.brushes),
            "support_powerpaint_v2": self.powerpaint is not None,
        }


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


def eraser(model: EraseModel) -> Listed:
    """An erase model, there or not."""
    return Listed(model.value, ModelType.INPAINT, eraser=model)


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
