"""`image-enhance`: a picture varied or enlarged. Its regions, which a detector would have to find, are not served."""

from typing import Annotated

from pydantic import Field

from service.dialects.fooocus.choices import UovMethod
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus_api.requests import ApiFields, FormFields


class EnhanceRequest(ApiFields):
    """`POST /v2/generation/image-enhance`."""

    enhance_input_image: str | None = ""
    enhance_checkbox: bool = True
    enhance_uov_method: UovMethod = UovMethod.VARY_STRONG
    enhance_ctrlnets: Annotated[tuple[EnhanceRegion, ...], Field(max_length=100)]


class EnhanceForm(FormFields):
    """`POST /v1/generation/image-enhance`, but for its file."""

    enhance_checkbox: bool = True
    enhance_uov_method: UovMethod = UovMethod.VARY_STRONG
    enhance_enabled_1: bool = False
    enhance_enabled_2: bool = False
    enhance_enabled_3: bool = False

    def regions(self) -> list[EnhanceRegion]:
        enabled = (self.enhance_enabled_1, self.enhance_enabled_2, self.enhance_enabled_3)
        return [EnhanceRegion(enhance_enabled=each) for each in enabled]
