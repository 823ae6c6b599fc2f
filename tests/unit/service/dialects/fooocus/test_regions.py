"""Parts of a picture that would have to be searched for are refused, not left as they are in silence."""

import pytest

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.fooocus.regions import EnhanceRegion, check_regions

ON, OFF = EnhanceRegion(enhance_enabled=True), EnhanceRegion()


@pytest.mark.parametrize("regions", [[ON], [OFF, ON]])
def test_a_region_that_is_enabled_is_refused(regions: list[EnhanceRegion]) -> None:
    with pytest.raises(ProtocolError, match=r"^enhance_enabled: ") as raised:
        check_regions(regions)
    assert raised.value.code is ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("regions", [[], [OFF, OFF]])
def test_regions_that_are_not_enabled_do_not_matter(regions: list[EnhanceRegion]) -> None:
    check_regions(regions)
