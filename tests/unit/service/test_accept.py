import pytest

from service.api.accept import accepts_encoding


@pytest.mark.parametrize("header", ["gzip", "br, gzip", "gzip;q=0.5, br", "*", "GZIP", "br;q=1.0, *;q=0.1"])
def test_coding_that_is_named_or_covered_is_taken(header: str) -> None:
    assert accepts_encoding(header, "gzip")


@pytest.mark.parametrize("header", [None, "", "br", "gzip;q=0", "*;q=0", "*, gzip;q=0", "xgzip"])
def test_coding_that_nobody_asked_for_is_not_used(header: str | None) -> None:
    assert not accepts_encoding(header, "gzip")
