"""The two models without weights: OpenCV's fills and PatchMatch, over everything that is shown of the picture.

They run beside the device, and make nothing of nothing: where all that is shown is masked they raise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.images import Bytes
from engine.inpainting.base import Fill
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.opencv import NAVIER_STOKES, TELEA
from engine.inpainting.patchmatch import PatchMatchFill
from engine.interface import Call, Where
from protocol.erasing import EraseModel, FillMethod

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class FillNetwork:
    """A fill in the place of a network. Implements `EraseNetwork`.

    Attributes:
        fill: None takes the one of OpenCV that the request asks for; its pixels are those of a bare `cv2.inpaint`.
        size_bytes: it has no weights.
    """

    fill: Fill | None = None
    size_bytes: int = 0

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        fill = self.fill or _of_opencv(options)
        made: Bytes = yield Call(partial(fill.fill, image, mask > 0, options.seed), where=Where.POOL, stage="fill")
        return made


def _of_opencv(options: EraseOptions) -> Fill:
    fill = NAVIER_STOKES if options.method is FillMethod.NAVIER_STOKES else TELEA
    return replace(fill, radius_px=float(options.fill_radius_px))


def _load_cv2(_paths: Sequence[Path], _device: str, _dtype: "torch.dtype") -> FillNetwork:
    return FillNetwork()


def _load_patchmatch(_paths: Sequence[Path], _device: str, _dtype: "torch.dtype") -> FillNetwork:
    return FillNetwork(PatchMatchFill())


CV2 = EraseModelSpec(
    name=EraseModel.CV2,
    title="OpenCV's two fills: fast, right for strokes, a smear in anything wide",
    source="Telea, 2004; Bertalmio et al., 2001",
    licence="Apache-2.0",
    is_commercial=True,
    load=_load_cv2,
    needs_pool=True,
)
PATCHMATCH = EraseModelSpec(
    name=EraseModel.PATCHMATCH,
    title="PatchMatch: copies texture from elsewhere in what it is shown",
    source="Barnes et al., PatchMatch, 2009",
    licence="MIT",
    is_commercial=True,
    load=_load_patchmatch,
    needs_pool=True,
)
