"""The models as IOPaint lists them: those that can be used now, erase models first, then diffusion models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from protocol.erasing import EraseModel
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName
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


@dataclass(frozen=True, slots=True)
class Listed:
    """One model on IOPaint's list.

    Attributes:
        name: by which clients switch to it.
        eraser: which erase model it is; None for a diffusion model.
        lcm_lora: the LoRA that `sd_lcm_lora` means for it; None if the server has none.
        controls: the ControlNets that can be used with it; see `controls_for`.
    """

    name: str
    type: ModelType
    eraser: EraseModel | None = None
    lcm_lora: str | None = None
    controls: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_diffusion(self) -> bool:
        return self.eraser is None

    def shown(self) -> dict[str, Any]:
        """As the original writes it. What is claimed is what the server can do, whatever the type can elsewhere."""
        return {
            "name": self.name,
            "path": self.name,
            "model_type": self.type.value,
            "is_single_file_diffusers": False,
            "need_prompt": self.is_diffusion,
            "controlnets": list(self.controls),
            "brushnets": [],
            "support_strength": self.is_diffusion,
            "support_outpainting": self.is_diffusion,
            "support_lcm_lora": self.lcm_lora is not None,
            "support_controlnet": bool(self.controls),
            "support_brushnet": False,
            "support_powerpaint_v2": False,
        }


def listed(models: Sequence[ModelInfo]) -> tuple[Listed, ...]:
    """IOPaint's list, from ours."""
    there = [model for model in models if model.is_present and model.problem is None]
    return (*_erasers(there), *(_diffusion(model, there) for model in there if _inpaints(model)))


def eraser(model: EraseModel) -> Listed:
    """An erase model, there or not."""
    return Listed(model.value, ModelType.INPAINT, eraser=model)


def _erasers(there: Iterable[ModelInfo]) -> list[Listed]:
    names = {model.name for model in there if TaskName.ERASE in model.tasks or model.kind is ModelKind.ERASER}
    return [eraser(model) for model in EraseModel if model in ALWAYS_THERE or model.value in names]


def _inpaints(model: ModelInfo) -> bool:
    return model.kind is ModelKind.CHECKPOINT and TaskName.INPAINT in model.tasks


def _diffusion(model: ModelInfo, there: Iterable[ModelInfo]) -> Listed:
    family = (model.family or "").removesuffix("_inpaint")
    fitting = [other for other in there if other.family == family]
    loras = (other.name for other in fitting if other.kind is ModelKind.LORA and _LCM in other.name.lower())
    return Listed(
        model.name,
        _TYPES.get(model.family or "", ModelType.DIFFUSERS_OTHER),
        lcm_lora=next(loras, None),
        controls=controls_for(family, fitting),
    )
