"""How Fooocus repaints a part of a picture, in the parameters of our own `inpaint`."""

from typing import Any, Final

from service.dialects.fooocus.choices import DEFAULT_INPAINT_ENGINE, INPAINT_ENGINES, NONE
from service.dialects.fooocus.notes import Notes

_SOFT_EDGE_PX: Final = 32
_FILLED_FROM: Final = 0.99
"""The hole is filled with what is around it where the strength is above this."""


def hole_params(
    *,
    strength: float,
    context: float,
    grow_px: int,
    is_inverted: bool,
    starts_from_noise: bool,
    engine: str,
    engine_field: str,
    notes: Notes,
) -> dict[str, Any]:
    """
    Args:
        context: the respective field, 0..1.
        engine: the name of a patch, or `None`.
        engine_field: where the request names it.
        notes: take an engine that is not known.
    """
    params: dict[str, Any] = {
        "strength": strength,
        "context": context,
        "grow_px": grow_px,
        "grow_shape": "box",
        "invert_mask": is_inverted,
        "fill": "blur" if strength > _FILLED_FROM else "original",
        "start": "noise" if starts_from_noise else "picture",
        "full_steps": True,
        "mask_blur_px": _SOFT_EDGE_PX,
        "soft_edge": "outside",
        "upscale_model": "auto",
    }
    if engine not in INPAINT_ENGINES:
        message = f"{engine_field}: there is no {engine!r:.60}; {DEFAULT_INPAINT_ENGINE} was taken instead"
        notes.add("unknown_name", message)
        engine = DEFAULT_INPAINT_ENGINE
    if engine != NONE:
        params["inpaint_patch"] = engine
    return params
