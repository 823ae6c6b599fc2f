"""From a flat request to what is wanted: which of its pictures count, and what its fields mean together.

Fooocus' page has tabs, of which one is open: that of the pictures given beside the prompt, if there are some; else that
of a picture to vary or enlarge; else that of one to repaint; else that of one to enhance. Two count together only where
the request says that they mix.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import anyio.to_thread

from protocol.events import JobWarning
from service.dialects.base import Desk
from service.dialects.fooocus.choices import MOST_GUIDES, Side, UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.pictures import picture_in
from service.dialects.fooocus.switching import NO_SWITCH, share_before
from service.dialects.fooocus.wishes import Guide, Wish
from service.dialects.fooocus_engine.requests import EngineRequest
from service.dialects.picture_size import size_of

_SIDES: Final = (Side.LEFT, Side.TOP, Side.RIGHT, Side.BOTTOM)
"""In the order of their distances."""
_USUAL: Final = 0.6
"""Of `cn_stop` and `cn_weight`, where they are null."""
_LEAST_SCALER: Final = 0.1


class Tab(StrEnum):
    """The open one, in Fooocus' words."""

    IMAGE_PROMPT = "ip"
    VARY_UPSCALE = "uov"
    INPAINT = "inpaint"
    ENHANCE = "enhance"


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files that came with a request.

    Attributes:
        guides: number in the request -> picture.
    """

    uov: bytes | None = field(default=None, repr=False)
    inpaint: bytes | None = field(default=None, repr=False)
    mask: bytes | None = field(default=None, repr=False)
    enhance: bytes | None = field(default=None, repr=False)
    guides: dict[int, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Meant:
    """What a request means."""

    wish: Wish
    tab: Tab
    notes: tuple[JobWarning, ...]


async def pictures_of(desk: Desk, fields: EngineRequest) -> Pictures:
    """The pictures of a request; those by address are fetched.

    Raises:
        ProtocolError: `bad_image`, `too_large` or `fetch_failed`.
    """
    guides: dict[int, bytes] = {}
    for number, guide in enumerate(fields.controlnet_image):
        picture = await picture_in(desk, guide.cn_img, f"controlnet_image[{number}].cn_img")
        if picture is not None and len(guides) < MOST_GUIDES:
            guides[number] = picture
    return Pictures(
        uov=await picture_in(desk, fields.uov_input_image, "uov_input_image"),
        inpaint=await picture_in(desk, fields.inpaint_input_image, "inpaint_input_image"),
        mask=await picture_in(desk, fields.inpaint_mask_image_upload, "inpaint_mask_image_upload"),
        enhance=await picture_in(desk, fields.enhance_input_image, "enhance_input_image"),
        guides=guides,
    )


async def meaning(fields: EngineRequest, pictures: Pictures) -> Meant:
    """
    Raises:
        ProtocolError: `bad_image`: the picture to continue is none.
    """
    notes = Notes()
    tab = _tab(fields, pictures)
    guides = _guides(fields, pictures)
    advanced = _advanced(fields, notes)
    picture, mask, method, sides, additional = None, None, UovMethod.DISABLED, {}, ""
    is_mixed = tab is Tab.IMAGE_PROMPT
    if _varies(fields, pictures) and (
        tab is Tab.VARY_UPSCALE or (is_mixed and fields.mixing_image_prompt_and_vary_upscale)
    ):
        picture, method = pictures.uov, fields.uov_method
    elif tab is Tab.INPAINT or (is_mixed and fields.mixing_image_prompt_and_inpaint and pictures.inpaint is not None):
        picture, mask, additional = pictures.inpaint, pictures.mask, fields.inpaint_additional_prompt
        sides = _sides(fields)
    elif tab is Tab.ENHANCE:
        picture, method = pictures.enhance, fields.enhance_uov_method
    _tell_unused(fields, pictures, picture, notes)
    wish = Wish(
        common=fields,
        advanced=advanced,
        extension=fields.output_format,
        saves_metadata=fields.save_metadata_to_images,
        metadata_scheme=fields.metadata_scheme.value,
        picture=picture,
        mask=mask,
        method=method,
        factor=fields.upscale_multiple,
        size=await anyio.to_thread.run_sync(size_of, picture, "input_image") if picture is not None and sides else None,
        sides=sides,
        additional_prompt=additional,
        guides=guides,
        **_enhancing(fields, tab),
    )
    return Meant(wish, tab, tuple(notes))


def _enhancing(fields: EngineRequest, tab: Tab) -> dict[str, Any]:
    """What is done to the picture of the open tab, or to those that are made."""
    if not fields.enhance_checkbox:
        return {}
    enhancing = EnhanceWish(
        regions=fields.enhance_ctrls,
        method=fields.enhance_uov_method,
        order=fields.enhance_uov_processing_order,
        prompt_type=fields.enhance_uov_prompt_type,
        keeps_stages=not fields.save_final_enhanced_image_only,
    )
    if tab is not Tab.ENHANCE:
        return {"enhancing": enhancing}
    # Without parts to be found it is varied or enlarged as everywhere.
    return {"enhancing": enhancing, "enhances_picture": True} if enhancing.has_regions else {}


def _tab(fields: EngineRequest, pictures: Pictures) -> Tab:
    if pictures.guides:
        return Tab.IMAGE_PROMPT
    if _varies(fields, pictures):
        return Tab.VARY_UPSCALE
    if pictures.inpaint is not None:
        return Tab.INPAINT
    if fields.enhance_checkbox and pictures.enhance is not None:
        return Tab.ENHANCE
    return Tab.VARY_UPSCALE


def _varies(fields: EngineRequest, pictures: Pictures) -> bool:
    return pictures.uov is not None and fields.uov_method is not UovMethod.DISABLED


def _guides(fields: EngineRequest, pictures: Pictures) -> tuple[Guide, ...]:
    """Those that have any effect."""
    made = []
    for number, picture in pictures.guides.items():
        asked = fields.controlnet_image[number]
        stop = _USUAL if asked.cn_stop is None else asked.cn_stop
        weight = _USUAL if asked.cn_weight is None else asked.cn_weight
        if stop > 0 and weight > 0:
            made.append(Guide(picture, asked.cn_type, stop, weight))
    return tuple(made)


def _sides(fields: EngineRequest) -> dict[Side, int]:
    distances = dict(zip(_SIDES, fields.outpaint_distance, strict=False))
    return {side: distances.get(side, 0) for side in fields.outpaint_selections}


def _advanced(fields: EngineRequest, notes: Notes) -> EngineRequest:
    """The same fields, as those of Fooocus-API say it."""
    changed: dict[str, object] = {"overwrite_switch": _switch(fields), "invert_mask_checkbox": False}
    for name in ("adm_scaler_positive", "adm_scaler_negative"):
        if getattr(fields, name) < _LEAST_SCALER:
            changed[name] = _LEAST_SCALER
            notes.add("parameter_unused", f"{name}: {_LEAST_SCALER} was taken, the least there is")
    return fields.model_copy(update=changed)


def _switch(fields: EngineRequest) -> float:
    """The share of the steps before the refiner takes over; -1 where neither it nor a step is named."""
    switch = fields.overwrite_switch
    if switch <= 0:
        return NO_SWITCH
    return switch if switch < 1 else share_before(switch, fields.performance_selection, fields.overwrite_step)


def _tell_unused(fields: EngineRequest, pictures: Pictures, used: bytes | None, notes: Notes) -> None:
    others = {
        "uov_input_image": pictures.uov,
        "inpaint_input_image": pictures.inpaint,
        "enhance_input_image": pictures.enhance,
    }
    for name, picture in others.items():
        if picture is not None and picture is not used:
            notes.add("picture_unused", f"{name}: has no effect beside the other pictures, or without its method")
    if fields.generate_image_grid:
        notes.add("parameter_unused", "generate_image_grid: no sheet of all pictures is made")
