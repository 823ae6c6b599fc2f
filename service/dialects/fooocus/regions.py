"""Parts of a picture that are to be found, by words or as the subject, and painted anew: as requests have them."""

from typing import Any, Final

from pydantic import Field, FiniteFloat

from protocol.enhancing import MAX_REGIONS
from service.dialects.fooocus.choices import DEFAULT_INPAINT_ENGINE, MaskModel
from service.dialects.fooocus.fields import Share
from service.dialects.fooocus.holes import hole_params
from service.dialects.fooocus.notes import Notes
from service.dialects.reading import Foreign

_SAM_MODELS: Final = ("vit_b", "vit_l", "vit_h")
_CLOTHES: Final = {"full": "all", "upper": "upper", "lower": "lower"}


class EnhanceRegion(Foreign):
    """One of them."""

    enhance_enabled: bool = False
    enhance_mask_dino_prompt: str = ""
    enhance_prompt: str = ""
    enhance_negative_prompt: str = ""
    enhance_mask_model: MaskModel = MaskModel.SAM
    enhance_mask_cloth_category: str = "full"
    enhance_mask_sam_model: str = "vit_b"
    enhance_mask_text_threshold: Share = 0.25
    enhance_mask_box_threshold: Share = 0.3
    enhance_mask_sam_max_detections: int = Field(0, ge=0, le=10)
    enhance_inpaint_disable_initial_latent: bool = False
    enhance_inpaint_engine: str = DEFAULT_INPAINT_ENGINE
    enhance_inpaint_strength: Share = 1.0
    enhance_inpaint_respective_field: Share = 0.618
    enhance_inpaint_erode_or_dilate: FiniteFloat = Field(0.0, ge=-64, le=64)
    enhance_mask_invert: bool = False


def region_params(regions: tuple[EnhanceRegion, ...], grow_box_px: int, notes: Notes) -> list[dict[str, Any]]:
    """The `regions` of our own `enhance`: of those that are enabled, as far as they say what to look for.

    Args:
        grow_box_px: how far the boxes of all are widened.
        notes: take what cannot act.
    """
    made = []
    for number, region in enumerate(regions):
        if not region.enhance_enabled:
            continue
        found = _found(region, number, grow_box_px, notes)
        if found is not None:
            made.append({**found, **_painted(region, notes)})
    if len(made) > MAX_REGIONS:
        notes.add("parameter_unused", f"enhance: the first {MAX_REGIONS} of {len(made)} regions were taken")
    return made[:MAX_REGIONS]


def sam_model(name: str, field: str, notes: Notes) -> str:
    """Our name of a model that cuts out."""
    if name in _SAM_MODELS:
        return f"sam_{name}"
    notes.add("unknown_name", f"{field}: there is no {name!r:.60}; {_SAM_MODELS[0]} was taken instead")
    return f"sam_{_SAM_MODELS[0]}"


def clothes_of(category: str, field: str, notes: Notes) -> str:
    """Our name of a kind of clothes."""
    if category not in _CLOTHES:
        notes.add("unknown_name", f"{field}: there is no {category!r:.60}; full was taken instead")
    return _CLOTHES.get(category, "all")


def _found(region: EnhanceRegion, number: int, grow_box_px: int, notes: Notes) -> dict[str, Any] | None:
    """How it is found; None if it does not say what."""
    if region.enhance_mask_model is not MaskModel.SAM:
        found: dict[str, Any] = {"subject": region.enhance_mask_model.value}
        if region.enhance_mask_model is MaskModel.U2NET_CLOTH_SEG:
            category = region.enhance_mask_cloth_category
            found["clothes"] = clothes_of(category, "enhance_mask_cloth_category", notes)
        return found
    text = region.enhance_mask_dino_prompt.strip(" .,;\n")
    if not text:
        message = f"enhance_mask_dino_prompt: region {number + 1} names nothing to look for; it was left out"
        notes.add("parameter_unused", message)
        return None
    return {
        "text": text,
        "model": sam_model(region.enhance_mask_sam_model, "enhance_mask_sam_model", notes),
        "box_threshold": float(region.enhance_mask_box_threshold),
        "text_threshold": float(region.enhance_mask_text_threshold),
        "max_detections": region.enhance_mask_sam_max_detections,
        "grow_box_px": grow_box_px,
    }


def _painted(region: EnhanceRegion, notes: Notes) -> dict[str, Any]:
    """How it is painted anew."""
    hole = hole_params(
        strength=float(region.enhance_inpaint_strength),
        context=float(region.enhance_inpaint_respective_field),
        grow_px=round(region.enhance_inpaint_erode_or_dilate),
        is_inverted=region.enhance_mask_invert,
        starts_from_noise=region.enhance_inpaint_disable_initial_latent,
        engine=region.enhance_inpaint_engine,
        engine_field="enhance_inpaint_engine",
        notes=notes,
    )
    return {"prompt": region.enhance_prompt, "negative_prompt": region.enhance_negative_prompt, **hole}
