"""Which fills there are, by the name a client asks for them with."""

from collections.abc import Mapping
from typing import Final

from engine import masks
from engine.inpainting.base import Fill
from engine.inpainting.opencv import NAVIER_STOKES, TELEA
from engine.inpainting.patchmatch import PatchMatchFill
from engine.masks import Mask
from protocol.editing import FillMethod

PATCHMATCH: Final = PatchMatchFill()
FILLS: Final[Mapping[FillMethod, Fill]] = {
    FillMethod.PATCHMATCH: PATCHMATCH,
    FillMethod.TELEA: TELEA,
    FillMethod.NAVIER_STOKES: NAVIER_STOKES,
}
THIN_PX: Final = 6.0
"""Up to this thickness Telea's fill cannot be told from PatchMatch's, and takes a tenth of the time."""


def choose(method: FillMethod, hole: Mask) -> Fill:
    """The fill for a hole: the one asked for, or for `auto` the one that suits its thickness."""
    if method is FillMethod.AUTO:
        return TELEA if masks.thickness(hole) <= THIN_PX else PATCHMATCH
    return FILLS[method]
