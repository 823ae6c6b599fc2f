"""Binary frames of the JSON subprotocol."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ErrorCode, ProtocolError
from protocol.frames import MAX_HEADER_BYTES, pack, unpack


@given(header=st.binary(max_size=300), payload=st.binary(max_size=300))
def test_unpack_gives_back_what_was_packed(header: bytes, payload: bytes) -> None:
    assert unpack(pack(header, payload)) == (header, payload)


def test_header_length_is_a_big_endian_u32_in_front() -> None:
    assert pack(b"{}", b"\x01\x02") == b"\x00\x00\x00\x02{}\x01\x02"


@given(header=st.binary(min_size=1, max_size=60), cut=st.integers(0, 1000))
def test_frame_cut_inside_its_header_is_malformed(header: bytes, cut: int) -> None:
    frame = pack(header, b"")
    with pytest.raises(ProtocolError) as caught:
        unpack(frame[: cut % len(frame)])
    assert caught.value.code is ErrorCode.MALFORMED


def test_longest_header_is_accepted_and_one_byte_more_is_not() -> None:
    assert unpack(pack(b"x" * MAX_HEADER_BYTES, b"p"))[1] == b"p"
    with pytest.raises(ProtocolError, match=f"allowed are {MAX_HEADER_BYTES}"):
        unpack(pack(b"x" * (MAX_HEADER_BYTES + 1), b"p"))


def test_frame_that_promises_four_gigabytes_is_refused_before_any_are_read() -> None:
    with pytest.raises(ProtocolError):
        unpack(struct.pack(">I", 2**32 - 1) + b"{}")
