"""FreeU: weighs what a UNet's upward half gets from below and from the side, for nothing.

The first two stages of the upward half have their backbone features multiplied (b1, b2) and the low frequencies of
their skip features damped (s1, s2). Source: Si and others, "FreeU: Free Lunch in Diffusion U-Net", 2023; the numbers
for each family are those its authors and diffusers recommend.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from diffusers.models.unets.unet_2d_blocks import CrossAttnUpBlock2D, UpBlock2D
from torch import nn

from engine.diffusion.loaded import LoadedModel
from engine.diffusion.scope import AdapterState
from engine.library.records import Family
from protocol.generation import FreeU


@dataclass(frozen=True, slots=True)
class _Weights:
    b1: float
    b2: float
    s1: float = 0.9
    s2: float = 0.2


_SD1: Final = _Weights(b1=1.5, b2=1.6)
_SD2: Final = _Weights(b1=1.4, b2=1.6)
_SDXL: Final = _Weights(b1=1.3, b2=1.4)
_RECOMMENDED: Final[Mapping[Family, _Weights]] = {
    Family.SD2: _SD2,
    Family.SD2_INPAINT: _SD2,
    Family.SDXL: _SDXL,
    Family.SDXL_INPAINT: _SDXL,
    Family.SDXL_REFINER: _SDXL,
}
"""Others take those of SD 1."""

_HEEDING: Final = (UpBlock2D, CrossAttnUpBlock2D)


def can_freeu(model: LoadedModel) -> bool:
    """Whether the model's denoiser is a UNet that FreeU works on: not all blocks that a UNet can have heed it."""
    stages: Any = getattr(model.denoiser, "up_blocks", ())
    return hasattr(model.denoiser, "enable_freeu") and any(isinstance(stage, _HEEDING) for stage in stages[:2])


def freeu_state(asked: FreeU, model: LoadedModel) -> AdapterState:
    """FreeU over the denoiser of `model`, which `can_freeu`; what `asked` leaves open is as recommended."""
    weights = _weights(asked, model)
    unet: Any = model.denoiser
    return AdapterState(("freeu", weights), partial(_enable, unet, weights), partial(_disable, unet))


def freeu_weights(asked: FreeU, model: LoadedModel) -> Mapping[str, float]:
    """b1, b2, s1 and s2 as they count for `model`."""
    return asdict(_weights(asked, model))


def _weights(asked: FreeU, model: LoadedModel) -> _Weights:
    usual = _RECOMMENDED.get(model.family, _SD1)
    return _Weights(
        b1=usual.b1 if asked.b1 is None else asked.b1,
        b2=usual.b2 if asked.b2 is None else asked.b2,
        s1=usual.s1 if asked.s1 is None else asked.s1,
        s2=usual.s2 if asked.s2 is None else asked.s2,
    )


def _enable(unet: Any, weights: _Weights, module: nn.Module) -> None:
    is_denoiser = module is unet
    if is_denoiser:
        unet.enable_freeu(s1=weights.s1, s2=weights.s2, b1=weights.b1, b2=weights.b2)


def _disable(unet: Any, module: nn.Module) -> None:
    is_denoiser = module is unet
    if is_denoiser:
        unet.disable_freeu()
