"""docs/dialects/fooocus_engine.md names every field there is."""

from service.dialects.fooocus_engine.records import STATUS
from service.dialects.fooocus_engine.requests import EngineRequest, Query
from tests.dialects.pages import page

PAGE = page("fooocus_engine")


def test_every_field_status_group_and_setting_is_named() -> None:
    names = {
        *EngineRequest.model_fields,
        *(status for status in STATUS.values() if status is not None),
        *Query,
        "fooocus_engine_double_webhook",
        "fooocus_base_url",
        "fooocus_webhook_url",
    }
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
