"""`image-enhance`: a picture varied or enlarged, and parts of it that are found in it painted anew."""

from copy import copy
from typing import Annotated, Any, Final

from pydantic import Field, create_model

from service.dialects.fooocus.choices import UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish, ProcessingOrder, PromptType
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus_api.requests import ApiFields, FormFields

_FORM_REGIONS: Final = (1, 2, 3)


class _Enhancing(ApiFields):
    """What both versions take."""

    enhance_checkbox: bool = True
    enhance_uov_method: UovMethod = UovMethod.VARY_STRONG
    enhance_uov_processing_order: str = ProcessingOrder.BEFORE
    enhance_uov_prompt_type: str = PromptType.ORIGINAL
    save_final_enhanced_image_only: bool = True

    def enhancing(self, regions: tuple[EnhanceRegion, ...]) -> EnhanceWish:
        """What is to be done, with these regions."""
        return EnhanceWish(
            regions=regions,
            method=self.enhance_uov_method,
            order=self.enhance_uov_processing_order,
            prompt_type=self.enhance_uov_prompt_type,
            keeps_stages=not self.save_final_enhanced_image_only,
        )


class EnhanceControl(EnhanceRegion):
    """A region in JSON, where it looks for faces unless it says otherwise."""

    enhance_mask_dino_prompt: str = "face"


class EnhanceRequest(_Enhancing):
    """`POST /v2/generation/image-enhance`."""

    enhance_input_image: str | None = ""
    enhance_ctrlnets: Annotated[tuple[EnhanceControl, ...], Field(max_length=100)]


class EnhanceFields(FormFields, _Enhancing):
    """`POST /v1/generation/image-enhance`, but for its file and the fields of its regions."""

    def regions(self) -> tuple[EnhanceRegion, ...]:
        """Those of the form, enabled or not."""
        names = EnhanceRegion.model_fields
        return tuple(
            EnhanceRegion.model_validate({name: getattr(self, f"{name}_{number}") for name in names})
            for number in _FORM_REGIONS
        )


_NUMBERED: Final[dict[str, Any]] = {
    f"{name}_{number}": (info.annotation, copy(info))
    for number in _FORM_REGIONS
    for name, info in EnhanceRegion.model_fields.items()
}
EnhanceForm: Final = create_model("EnhanceForm", __base__=EnhanceFields, **_NUMBERED)
"""The same with the fields of three regions, each with the number of its region behind its name."""
