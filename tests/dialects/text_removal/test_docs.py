"""docs/dialects/text_removal.md names every field there is."""

from service.dialects.text_removal.environment import _VARIABLES
from service.dialects.text_removal.requests import AsyncRequest, MaskRequest
from service.dialects.text_removal.states import Stage, TaskStatus
from tests.dialects.pages import page

PAGE = page("text_removal")


def test_every_field_status_stage_and_variable_is_named() -> None:
    names = {*AsyncRequest.model_fields, *MaskRequest.model_fields, *TaskStatus, *Stage, *_VARIABLES}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
