"""Of `service.dialects.base64_picture`."""

import base64

import pytest

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.base64_picture import decode_picture
from service.dialects.refusal import Refused

CONTENT = bytes(range(200))
TEXT = base64.b64encode(CONTENT).decode()
LIMIT = 1000


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        f"data:image/svg+xml;charset=utf-8;base64,{TEXT}",
        f"data:application/octet-stream;base64,{TEXT}",
        "\r\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76)),
        f" {TEXT[:50]}*{TEXT[50:]}\n",
    ],
    ids=["plain", "data-url", "with-parameters", "octet-stream", "lines", "foreign-characters"],
)
def test_every_way_the_original_reads_gives_the_same_file(text: str) -> None:
    assert decode_picture(text, "image", LIMIT) == CONTENT


@pytest.mark.parametrize(
    "text",
    [None, "", "@@@@", "AAAAA", "data:image/png,AAAA", "data:text/plain;base64,AAAA", "http://127.0.0.1/a.png"],
)
def test_what_is_no_base64_is_refused_by_its_name(text: str | None) -> None:
    with pytest.raises(Refused, match="mask: ") as caught:
        decode_picture(text, "mask", LIMIT)
    assert caught.value.status == 400


def test_a_text_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_picture("!" * 2 * LIMIT, "image", LIMIT)
    assert caught.value.code is ErrorCode.TOO_LARGE
