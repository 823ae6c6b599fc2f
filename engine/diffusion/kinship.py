"""Which families' additions go together: what was made for one denoiser works on another of the same make."""

from typing import Final

from engine.library.records import STABLE_1, Family

_ALIKE: Final = (
    frozenset(STABLE_1),
    frozenset({Family.SD2, Family.SD2_INPAINT}),
    frozenset({Family.SDXL, Family.SDXL_INPAINT}),
)
_UNTOLD: Final = frozenset({Family.OTHER, Family.UNKNOWN})


def may_fit(addition: Family, model: Family) -> bool:
    """Whether an addition of one family may be for a model of another; true if one of them is not known."""
    if addition in _UNTOLD or model in _UNTOLD or addition is model:
        return True
    return any(addition in alike and model in alike for alike in _ALIKE)
