"""What is done to pictures once they are there, in Fooocus' words, and as the parameter `enhance` of our own tasks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.dialects.fooocus.choices import UovMethod
from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus.methods import reworked
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.regions import EnhanceRegion, region_params


class ProcessingOrder(StrEnum):
    """When all of a picture is varied or enlarged."""

    BEFORE = "Before First Enhancement"
    AFTER = "After Last Enhancement"


class PromptType(StrEnum):
    """Which prompts that follows."""

    ORIGINAL = "Original Prompts"
    LAST_FILLED = "Last Filled Enhancement Prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceWish:
    """What a request wants of it.

    Attributes:
        method: how all of a picture is varied or enlarged.
        order, prompt_type: see there; as they were sent.
        keeps_stages: pictures between are results too.
    """

    regions: tuple[EnhanceRegion, ...] = ()
    method: UovMethod = UovMethod.DISABLED
    order: str = ProcessingOrder.BEFORE
    prompt_type: str = PromptType.ORIGINAL
    keeps_stages: bool = False

    @property
    def has_regions(self) -> bool:
        """Whether one is enabled."""
        return any(region.enhance_enabled for region in self.regions)


def enhance_params(
    wish: EnhanceWish, advanced: AdvancedFields, factor: float | None, notes: Notes
) -> dict[str, Any] | None:
    """The parameter `enhance`; None where there is nothing to do.

    Args:
        factor: of `Upscale (Custom)`.
        notes: take what cannot act.
    """
    params: dict[str, Any] = {}
    regions = region_params(wish.regions, advanced.dino_erode_or_dilate, notes)
    if regions:
        params["regions"] = regions
    if wish.method is not UovMethod.DISABLED:
        params["rework"] = _rework(wish, advanced, factor, notes)
    return {**params, "keep_stages": wish.keeps_stages} if params else None


def _rework(wish: EnhanceWish, advanced: AdvancedFields, factor: float | None, notes: Notes) -> dict[str, Any]:
    comes_after = _known(ProcessingOrder, wish.order, "enhance_uov_processing_order", notes) is ProcessingOrder.AFTER
    follows = _known(PromptType, wish.prompt_type, "enhance_uov_prompt_type", notes)
    params: dict[str, Any] = {"when": "after" if comes_after else "before", **reworked(wish.method, advanced, factor)}
    if comes_after and follows is PromptType.LAST_FILLED:
        params["prompts"] = "last_region"
    return params


def _known(kind: type[StrEnum], name: str, field: str, notes: Notes) -> StrEnum:
    """What a name means; the first of its kind where it is not known."""
    try:
        return kind(name)
    except ValueError:
        usual = next(iter(kind))
        notes.add("unknown_name", f"{field}: there is no {name!r:.60}; {usual.value} was taken instead")
        return usual
