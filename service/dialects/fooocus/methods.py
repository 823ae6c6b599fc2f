"""How Fooocus varies or enlarges a picture, in the parameters of our own `image_to_image` and `enhance`."""

from collections.abc import Mapping
from typing import Any, Final

from service.dialects.fooocus.choices import UovMethod
from service.dialects.fooocus.fields import AdvancedFields

FAST_FACTOR: Final = 2.0
_VARY: Final[Mapping[UovMethod, float]] = {UovMethod.VARY_SUBTLE: 0.5, UovMethod.VARY_STRONG: 0.85}
_FACTORS: Final[Mapping[UovMethod, float]] = {UovMethod.UPSCALE_1_5: 1.5, UovMethod.UPSCALE_2: 2.0}
_CUSTOM_FACTOR: Final = 2.0
_UPSCALE_STRENGTH: Final = 0.382


def made_anew(method: UovMethod, advanced: AdvancedFields, factor: float | None) -> dict[str, Any]:
    """Of a picture that is varied, or enlarged and made anew.

    Args:
        method: one of these.
        factor: of `Upscale (Custom)`.
    """
    if method in _VARY:
        chosen = advanced.overwrite_vary_strength
        strength = chosen if chosen > 0 else _VARY[method]
        return {"strength": float(strength), "size_rule": "model", "full_steps": True}
    chosen = advanced.overwrite_upscale_strength
    return {
        "strength": float(chosen) if chosen > 0 else _UPSCALE_STRENGTH,
        "upscale": float(_FACTORS.get(method, factor or _CUSTOM_FACTOR)),
        "full_steps": True,
    }


def reworked(method: UovMethod, advanced: AdvancedFields, factor: float | None) -> dict[str, Any]:
    """Of a stage of `enhance`, which may also enlarge only."""
    if method is UovMethod.UPSCALE_FAST_2:
        return {"upscale": FAST_FACTOR, "redraw": False}
    return made_anew(method, advanced, factor)
