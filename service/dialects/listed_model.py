"""A model as IOPaint lists it, and as the text-removal service tells of the one that works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from protocol.erasing import EraseModel


class ModelType(StrEnum):
    """What kind of model the original's page is told it has."""

    INPAINT = "inpaint"
    DIFFUSERS_SD = "diffusers_sd"
    DIFFUSERS_SD_INPAINT = "diffusers_sd_inpaint"
    DIFFUSERS_SDXL = "diffusers_sdxl"
    DIFFUSERS_SDXL_INPAINT = "diffusers_sdxl_inpaint"
    DIFFUSERS_OTHER = "diffusers_other"


class Editor(StrEnum):
    """Families with fields of their own in the original's requests."""

    INSTRUCT_PIX2PIX = "instruct_pix2pix"
    PAINT_BY_EXAMPLE = "paint_by_example"
    POWERPAINT = "powerpaint"


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


def eraser(model: EraseModel) -> Listed:
    """An erase model, there or not."""
    return Listed(model.value, ModelType.INPAINT, eraser=model)
