"""ControlNets that a job asked for: networks in memory, and the pipelines that listen to them."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from torch import Tensor

from engine.diffusion.control_loras import is_control_lora, variant_for
from engine.diffusion.controlnet_files import CONTROLNET
from engine.diffusion.families import PipelineKind
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.offload import Placement
from engine.diffusion.parts import variant_of
from engine.diffusion.side_networks import check_kinship, check_likeness, side_network_loading
from engine.diffusion.studio import ReadyModel, Studio
from engine.interface import Call, EngineError, Where
from engine.library.records import Family, FoundModel
from protocol.errors import ErrorCode
from protocol.guides import ControlRef

_STABLE: Final = {
    PipelineKind.TEXT_TO_IMAGE: "StableDiffusionControlNetPipeline",
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusionControlNetImg2ImgPipeline",
    PipelineKind.INPAINT: "StableDiffusionControlNetInpaintPipeline",
}
_XL: Final = {
    PipelineKind.TEXT_TO_IMAGE: "StableDiffusionXLControlNetPipeline",
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusionXLControlNetImg2ImgPipeline",
    PipelineKind.INPAINT: "StableDiffusionXLControlNetInpaintPipeline",
}
_CLASSES: Final[Mapping[Family, Mapping[PipelineKind, str]]] = {
    Family.SD1: _STABLE,
    Family.SD1_INPAINT: _STABLE,
    Family.POWERPAINT: _STABLE,
    Family.SD2: _STABLE,
    Family.SD2_INPAINT: _STABLE,
    Family.SDXL: _XL,
    Family.SDXL_INPAINT: _XL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyNet:
    """A ControlNet in memory, and where its weights are."""

    net: Any
    placement: Placement


@dataclass(frozen=True, slots=True)
class Controls:
    """All ControlNets of a job, in the order it named them, and what it wants of each."""

    nets: Sequence[ReadyNet]
    refs: Sequence[ControlRef]

    def pipeline_class(self, kind: PipelineKind, model: LoadedModel) -> Any:
        """The diffusers class that listens to them; None for a kind that the model cannot do at all."""
        import diffusers

        return getattr(diffusers, _CLASSES[model.family][kind]) if model.can(kind) else None

    def components(self) -> Mapping[str, Any]:
        nets = [each.net for each in self.nets]
        return {"controlnet": nets[0] if len(nets) == 1 else nets}

    def arguments(self, kind: PipelineKind, pictures: Sequence[Tensor]) -> Mapping[str, Any]:
        """What such a pipeline is given.

        Args:
            pictures: (1, 3, H, W) in [0, 1], one for each, at the size the model works at.
        """
        given: dict[str, list[Any]] = {
            "image" if kind is PipelineKind.TEXT_TO_IMAGE else "control_image": list(pictures),
            "controlnet_conditioning_scale": [float(ref.scale) for ref in self.refs],
            "control_guidance_start": [float(ref.start) for ref in self.refs],
            "control_guidance_end": [float(ref.end) for ref in self.refs],
        }
        return {name: values[0] for name, values in given.items()} if len(self.nets) == 1 else given


def check_controls(model: LoadedModel) -> None:
    """Raises EngineError: `invalid_params`; ControlNets mean nothing to this model's family."""
    if model.family not in _CLASSES:
        message = (
            f"controls: {model.name!r} is of the family {model.family}, which takes none here, at $.params.controls"
        )
        raise EngineError(ErrorCode.INVALID_PARAMS, message)


def choose_controlnet(studio: Studio, found: FoundModel, model: ReadyModel) -> Generator[Call, Any, ReadyNet]:
    """The ControlNet in memory, loaded if it is not. Use with `yield from`.

    Raises:
        EngineError: `bad_model`: it cannot be loaded; `invalid_params`: it is made for another family.
    """
    unet: Any = model.loaded.denoiser
    check_kinship(CONTROLNET, found, model)
    is_lora = yield Call(partial(is_control_lora, found), Where.POOL, "read")
    variant = variant_for(unet) if is_lora else variant_of(found, unet.config, model.loaded.dtype)
    ready = yield from studio.part(found, variant, partial(_load, studio, found, model.loaded), model.loaded)
    check_likeness(CONTROLNET, found, model, ready.net)
    return ready


def _load(studio: Studio, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, ReadyNet]:
    net = yield from side_network_loading(CONTROLNET, found, model)
    placement = yield from studio.take_in({CONTROLNET.part: net}, model)
    return ReadyNet(net=net, placement=placement)
