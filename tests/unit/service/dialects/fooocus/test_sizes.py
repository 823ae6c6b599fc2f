import pytest

from service.dialects.fooocus.sizes import checked_aspect_ratio, continued_px, size_in
from service.dialects.picture_size import Size

TIMES = chr(215)
"""The sign Fooocus' page writes between the sides."""


@pytest.mark.parametrize("text", ["1152*896", f"1152{TIMES}896", " 1152 * 896 ", f"1152{TIMES}896 <span>9:7</span>"])
def test_a_size_is_read_as_fooocus_and_its_clients_write_it(text: str) -> None:
    assert size_in(text) == Size(1152, 896)


@pytest.mark.parametrize(
    "text", ["", "big", "1152x896", "1152", "*896", "1152*", "15*896", "1152*4097", "1152*89600000"]
)
def test_what_is_no_size_or_cannot_be_made_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        checked_aspect_ratio(text)


def test_a_side_is_continued_by_what_is_asked_and_else_by_three_tenths() -> None:
    assert [continued_px(1000, asked) for asked in (64, 0, -1, None)] == [64, 300, 300, 300]
