"""docs/dialects/fooocus_api.md names every field there is."""

import re

from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus_api.enhancing import EnhanceRequest
from service.dialects.fooocus_api.requests import ImagePromptRequest, InpaintRequest, UpscaleVaryRequest
from service.dialects.fooocus_api.states import Stage
from service.settings import Settings
from tests.dialects.pages import page
from tests.servers import REPOSITORY

PAGE = page("fooocus_api")


def test_every_field_stage_and_setting_is_named() -> None:
    names = {
        *AdvancedFields.model_fields,
        *ImagePromptRequest.model_fields,
        *InpaintRequest.model_fields,
        *UpscaleVaryRequest.model_fields,
        *EnhanceRequest.model_fields,
        *EnhanceRegion.model_fields,
        *Stage,
        *(name for name in Settings.model_fields if name.startswith("fooocus_") and "engine" not in name),
    } - {"advanced_params"}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_every_warning_of_the_dialect_has_its_row_and_no_other_has() -> None:
    folders = (REPOSITORY / "service" / "dialects" / name for name in ("fooocus", "fooocus_api"))
    source = "".join(path.read_text("utf-8") for folder in folders for path in folder.glob("*.py"))
    told = set(re.findall(r'notes\.add\(\s*"(\w+)"', source)) | set(re.findall(r'JobWarning\(code="(\w+)"', source))
    table = PAGE.partition("| code | when |")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == told
